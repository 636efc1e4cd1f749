/** The floors: imports go down only. Rooms on one floor do not import each other. */
const floors = { core: 0, engine: 1, dist: 2, effects: 3, nn: 4, inference: 4, models: 5, plot: 1, data: 1 };
const besides = new Set(["plot", "data"]);

const mayImport = (room) =>
  Object.keys(floors).filter((other) =>
    other === room ? true : besides.has(room) ? other === "core" : !besides.has(other) && floors[other] < floors[room],
  );

const roomRules = Object.keys(floors).map((room) => ({
  name: `floor-${room}`,
  severity: "error",
  comment: `src/${room} may import only: ${mayImport(room).join(", ")}`,
  from: { path: `^src/${room}/`, pathNot: "\\.test\\.ts$" },
  to: { path: "^src/", pathNot: `^src/(${mayImport(room).join("|")})/` },
}));

module.exports = {
  forbidden: [
    ...roomRules,
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
    { name: "no-cycles", severity: "error", from: { path: "^src/" }, to: { circular: true } },
    {
      name: "public-api-only",
      severity: "error",
      comment: "Examples and benchmarks import the package by its name: only public entry points.",
      from: { path: "^(examples|bench)/" },
      to: { path: "^src/", pathNot: "^src/(index|(dist|nn|models|plot|data)/index)\\.ts$" },
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
