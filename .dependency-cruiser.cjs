/** The floors of `src` and the rooms of `src/inference` and `src/compiler`: imports go down only. Rooms on one floor do not import each other. */
const floors = {
  core: 1,
  engine: 2,
  compiler: 3,
  dist: 4,
  effects: 5,
  nn: 6,
  inference: 6,
  models: 7,
  plot: 2,
  data: 2,
};
/** Beside the others: they know `core` alone, and nothing knows them. */
const besides = new Set(["plot", "data"]);
const rooms = {
  numeric: 0,
  method: 1,
  optim: 1,
  weights: 1,
  diagnostics: 1,
  problem: 2,
  train: 3,
  vi: 4,
  importance: 4,
  mcmc: 4,
  smc: 5,
  tilt: 6,
};

/** The rooms of `src/compiler`, each with those that it may import. */
const compilerRooms = {
  ir: [],
  onnx: ["ir"],
  primitives: ["ir", "onnx"],
  trace: ["ir", "primitives"],
  passes: ["ir", "primitives"],
  lower: ["ir", "onnx", "primitives", "passes"],
  runtime: ["ir", "onnx", "lower"],
};
/** What lies beside the rooms of `src/compiler` and joins them. */
const compilerJoints = ["compile", "cost-model", "index", "shards", "step", "threads"];

const lower = (heights, name) => Object.keys(heights).filter((other) => heights[other] < heights[name]);
const below = (floor) => (besides.has(floor) ? ["core"] : lower(floors, floor).filter((other) => !besides.has(other)));

const floorRules = Object.keys(floors).map((floor) => {
  const known = [floor, ...below(floor)];
  return {
    name: `floor-${floor}`,
    severity: "error",
    comment: `src/${floor} may import only: ${known.join(", ")}`,
    from: { path: `^src/${floor}/`, pathNot: "\\.test\\.ts$" },
    to: { path: "^src/", pathNot: `^src/(${known.join("|")})/` },
  };
});

const roomRules = Object.keys(rooms).map((room) => {
  const known = [room, ...lower(rooms, room)];
  return {
    name: `room-${room}`,
    severity: "error",
    comment: `src/inference/${room} may import of src/inference only: ${known.join(", ")}`,
    from: { path: `^src/inference/${room}/`, pathNot: "\\.test\\.ts$" },
    to: { path: "^src/inference/", pathNot: `^src/inference/(${known.join("|")})/` },
  };
});

const compilerRoomRules = Object.entries(compilerRooms).map(([room, others]) => {
  const known = [room, ...others];
  return {
    name: `compiler-${room}`,
    severity: "error",
    comment: `src/compiler/${room} may import of src/compiler only: ${known.join(", ")}`,
    from: { path: `^src/compiler/${room}/`, pathNot: "\\.test\\.ts$" },
    to: { path: "^src/compiler/", pathNot: `^src/compiler/(${known.join("|")})/` },
  };
});

const anyOf = (table) => Object.keys(table).join("|");

/** A file that lies elsewhere is found by what it imports, by who imports it, or as one that has neither. */
const everyFile = (name, comment, elsewhere) =>
  [
    [elsewhere, {}],
    [{}, elsewhere],
    [{ orphan: true, ...elsewhere }, {}],
  ].map(([from, to]) => ({ name, severity: "error", comment, from, to }));

const placeRules = [
  ...everyFile("every-file-on-a-floor", "Files of src lie on a floor; only the root's entry point does not.", {
    path: "^src/",
    pathNot: `^src/((${anyOf(floors)})/|index\\.ts$)`,
  }),
  ...everyFile("every-file-in-a-room", "Files of src/inference lie in a room; only the public entry point does not.", {
    path: "^src/inference/",
    pathNot: `^src/inference/((${anyOf(rooms)})/|index\\.ts$)`,
  }),
  ...everyFile("compiler-in-rooms", "Files of src/compiler lie in a room, or join the rooms and are named here.", {
    path: "^src/compiler/",
    pathNot: `^src/compiler/((${anyOf(compilerRooms)})/|(${compilerJoints.join("|")})(\\.test)?\\.ts$)`,
  }),
];

/** Modules that package.json names as entry points. */
const entryPoints = Object.values(require("./package.json").exports).map((entry) =>
  entry.default.replace(/^\.\/lib\/(.*)\.js$/, "$1"),
);

module.exports = {
  forbidden: [
    ...floorRules,
    ...roomRules,
    ...compilerRoomRules,
    ...placeRules,
    {
      name: "core-packages",
      severity: "error",
      comment: "The lowest floor knows tfjs-core, fp-ts and seedrandom only.",
      from: { path: "^src/core/", pathNot: "\\.test\\.ts$" },
      to: {
        path: "node_modules/",
        pathNot: "node_modules/(@tensorflow/tfjs-core|fp-ts|seedrandom|@types/seedrandom)/",
      },
    },
    {
      name: "unit-tests-alone",
      severity: "error",
      comment: "What lies in src, unit tests too, needs nothing of tests/: a test that wants its support lies there.",
      from: { path: "^src/" },
      to: { path: "^tests/" },
    },
    {
      name: "support-for-tests",
      severity: "error",
      comment: "Only tests/ imports tests/support.",
      from: { pathNot: "^tests/" },
      to: { path: "^tests/support/" },
    },
    {
      name: "models-without-privileges",
      severity: "error",
      comment:
        "src/models are ordinary programs: of effects they know the language and mapRows, of inference types alone, of the engine what tilted/math exports.",
      from: { path: "^src/models/", pathNot: "\\.test\\.ts$" },
      to: {
        path: "^src/(effects|inference|engine|compiler)/",
        pathNot: `^src/(${[
          "effects/(effects|plate|handle|handlers|sites|map-rows)",
          "inference/problem/latent-variable",
          "engine/(linalg|ops|smooth|special)",
        ].join("|")})\\.ts$`,
      },
    },
    { name: "no-cycles", severity: "error", from: { path: "^src/" }, to: { circular: true } },
    {
      name: "public-api-only",
      severity: "error",
      comment:
        "Examples, benchmarks and programs of outsiders import the package by its name: only public entry points.",
      from: { path: "^(examples|bench|tests/outside/(programs|declared))/" },
      to: { path: "^src/", pathNot: `^src/(${entryPoints.join("|")})\\.ts$` },
    },
    { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true, pathNot: "tfjs-node-gpu" } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    parser: "swc",
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
      extensions: [".ts", ".js"],
    },
  },
};
