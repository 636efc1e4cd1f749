/**
 * Node's own modules, for the few functions that need files. They are loaded at run time: an `import` of `node:…`, even
 * a dynamic one, stops a bundler that packs for a browser.
 */
import { fail } from "./errors.ts";

/**
 * A module of Node, such as `node:fs`.
 *
 * @param what - Who asks, for the error.
 * @throws `engine` outside Node.
 */
export function nodeModule<Id extends keyof NodeModules>(id: Id, what: string): NodeModules[Id] {
  const found = typeof process === "undefined" ? undefined : process.getBuiltinModule?.(id);
  return found ?? fail("engine", `${what} needs Node: there are no files here`);
}

interface NodeModules {
  "node:fs/promises": typeof import("node:fs/promises");
  "node:module": typeof import("node:module");
  "node:os": typeof import("node:os");
  "node:path": typeof import("node:path");
  "node:util": typeof import("node:util");
  "node:worker_threads": typeof import("node:worker_threads");
  "node:zlib": typeof import("node:zlib");
}
