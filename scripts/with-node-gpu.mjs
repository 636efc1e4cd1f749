/**
 * For development: makes `import("@tensorflow/tfjs-node-gpu")` find the package that scripts/build-tfjs-node.sh built, so
 * that the library's own loader runs, with nothing installed in this tree:
 *
 *   TILTED_NODE_GPU=FOLDER NODE_OPTIONS="--import ./scripts/with-node-gpu.mjs" npm start -- --engine node-gpu
 *
 * An installed package shares this library's copy of tfjs-core; here the requires of one tfjs by the other are led to it.
 */
import Module, { createRequire, register } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const { TILTED_NODE_GPU: folder } = process.env;

if (folder) {
  const there = pathToFileURL(join(resolve(folder), "package.json")).href;
  const hooks = `
    const PACKAGE = "@tensorflow/tfjs-node-gpu";
    export const resolve = (specifier, context, next) =>
      next(specifier, specifier === PACKAGE ? { ...context, parentURL: ${JSON.stringify(there)} } : context);
  `;
  register(`data:text/javascript,${encodeURIComponent(hooks)}`);

  const here = createRequire(import.meta.url);
  const { _resolveFilename } = Module;
  Module._resolveFilename = function (request, ...rest) {
    return /^@tensorflow\/tfjs-(core|backend-cpu)$/.test(request) && rest[0]?.filename?.startsWith(resolve(folder))
      ? here.resolve(request)
      : _resolveFilename.call(this, request, ...rest);
  };
}
