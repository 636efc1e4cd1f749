// A worker thread does not inherit tsx, so it registers tsx itself before it loads the TypeScript of the worker.
import { register } from "tsx/esm/api";

register();
await import("./worker.ts");
