/**
 * What the compiler prints, against the built package and with `declaration: true`: exported constants have declarations, their types are
 * short, and a refusal names the site.
 */
import { cpSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileProject, createProject, declarationsOf, type Project } from "../support/package.ts";
import { root } from "../support/run.ts";

const declared = join(root, "tests/outside/declared");
let project: Project;

beforeAll(async () => {
  project = await createProject();
  cpSync(declared, project.folder, { recursive: true });
});
afterAll(() => project?.remove());

/** The printed types of a file's exported constants, without the package's name before each. */
function printed(file: string, outDir: string): { readonly [name: string]: string } {
  const text = declarationsOf(project, file, outDir).replace(/import\("tilted"\)\.|tf\./g, "");
  return Object.fromEntries(
    [...text.matchAll(/^export declare const (\w+): (.*);$/gm)].map(([, name, type]) => [name, type]),
  );
}

describe("declarations", () => {
  it.each(readdirSync(declared))("of %s name every type by the package's entry points", async (file) => {
    const { code, stdout } = await compileProject(project, [file], file.replace(".ts", ""));
    expect(stdout).toBe("");
    expect(code).toBe(0);
    expect(declarationsOf(project, file, file.replace(".ts", ""))).not.toMatch(/tilted\/lib|\bany\b/);
  });
});

describe("printed types", () => {
  let types: { readonly [name: string]: string };
  beforeAll(async () => {
    await compileProject(project, ["root.ts"], "printed");
    types = printed("root.ts", "printed");
  });

  it("show a model as its arguments, its effects and its value", async () => {
    expect(types.coin).toBe('Model<[heads: number], ObserveEffect<"heads"> | SampleEffect<"p">, Tensor<Rank>>');
    expect(types.conditioned).toBe('Model<[heads: number], ObserveEffect<"heads"> | ObserveEffect<"p">, Tensor<Rank>>');
    expect(types.prior).toBe('Model<[heads: number], SampleEffect<"heads"> | SampleEffect<"p">, Tensor<Rank>>');
    expect(types.nested).toBe(
      'Model<[], DeterministicEffect<"double"> | FactorEffect<"nudge"> | ObserveEffect<"x"> | PlateEffect<"rows"> | SampleEffect<"mu"> | SampleEffect<"z">, Tensor<Rank>>',
    );
  });

  it("show a method as its kind, and a result as the method's own with the model's effects", () => {
    const ofCoin = 'ObserveEffect<"heads"> | SampleEffect<"p">';
    const ofGuide = 'ParamEffect<"a"> | SampleEffect<"p">';
    expect(types).toMatchObject({
      together: "Method<SnisKind, undefined>",
      each: 'Method<SnisRowsKind<readonly ["z"]>, undefined>',
      moving: 'Method<LangevinKind<"z">, undefined>',
      bound: `Variational<[_heads: number], ${ofGuide}>`,
      weighted: `Variational<[_heads: number], ${ofGuide}>`,
      fit: "Method<FitTiltKind, undefined>",
      likelihood: "Method<TiltLikelihoodKind, undefined>",
      posterior: `() => Promise<SnisResult<${ofCoin}>>`,
      path: '() => Promise<LangevinResult<"mu" | "z">>',
      raised: `() => Promise<VariationalFit<${ofCoin}, ${ofGuide}>>`,
    });
    // An effect of any name beside the one of this name is what an intersection with all effects prints.
    expect(Object.values(types).join("\n")).not.toMatch(/Effect<string>|Effect &/);
  });
});

describe("a refusal", () => {
  const head = `
    import { pipe } from "fp-ts/lib/function.js";
    import { block, condition, elbo, infer, intervene, model, observe, sample, snis, tilt } from "tilted";
    import { beta, binomial } from "tilted/dist";
    const coin = model(function* (heads: number) {
      const p = yield* sample("p", beta(1, 1));
      yield* observe("heads", binomial(10, { probs: p }), heads);
    });
    const misspelt = model(function* (_heads: number) { yield* sample("q", beta(1, 1)); });
    const idle = model(function* (_heads: number) {});
    const ofText = model(function* (_heads: string) { yield* sample("p", beta(1, 1)); });`;

  it.each([
    [
      "a guide with a misspelt site",
      "infer(coin, elbo(misspelt), { args: [3], seed: 1 });",
      `required in type 'SiteError<"the guide misses the latent site 'p'" | "the model has no latent site 'q'">'`,
    ],
    [
      "a guide without a site",
      "infer(coin, elbo(idle), { args: [3], seed: 1 });",
      `required in type 'SiteError<"the guide misses the latent site 'p'">'`,
    ],
    [
      "a guide of other arguments",
      "infer(coin, elbo(ofText), { args: [3], seed: 1 });",
      `'"the guide takes other arguments"' is missing`,
    ],
    [
      "data for a site that is not there",
      "pipe(coin, condition({ q: 1 }));",
      `to type 'SiteError<"condition: the model has no latent site 'q'">'`,
    ],
    ["an intervention there", "pipe(coin, intervene({ q: 1 }));", `SiteError<"intervene: the model has no site 'q'">`],
    ["a tilt there", 'pipe(coin, tilt("q", (z) => z));', `SiteError<"tilt: the model has no site 'q'">`],
    ["a block there", 'pipe(coin, block("q"));', `SiteError<"block: the model has no site 'q'">`],
    [
      "a misspelt site of a result",
      "(await infer(coin, snis(10), { args: [3], seed: 1 })).sites.q;",
      "Property 'q' does not exist on type '{ readonly p: NdArray; }'",
    ],
  ])("of %s names it", async (_, line, message) => {
    writeFileSync(join(project.folder, "refused.ts"), `${head}\n${line}\n`);
    const { code, stdout } = await compileProject(project, ["refused.ts"], "refused");
    expect(code).not.toBe(0);
    expect(stdout).toContain(message);
    expect(stdout.match(/error TS/g)).toHaveLength(1);
    expect(stdout).not.toContain("type 'never'");
  });
});
