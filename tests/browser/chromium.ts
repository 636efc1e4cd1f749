/** Chromium with a small server of files: a page is opened and its outcome read. */
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { root } from "../support/run.ts";

/** Playwright's own limits are 30 s, which a loaded machine takes; what hangs is ended by the test that waits for it. */
const NO_LIMIT = 0;

/** Where Debian and others put it; `CHROMIUM_PATH` goes first. */
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The browser's executable, if there is one. */
export const chromiumPath = (): string | undefined =>
  [process.env.CHROMIUM_PATH ?? "", ...PLACES].find((path) => path !== "" && existsSync(path));

/** Folders of the engines' files, by where they are served. */
const ENGINE_FILES: { readonly [served: string]: string } = {
  wasm: join(root, "node_modules/@tensorflow/tfjs-backend-wasm/dist"),
  ort: join(root, "node_modules/onnxruntime-web/dist"),
};

/** Headers that give a page shared memory, and with it threads. */
const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** Serves a bundle's files, a page that runs its `index.js` at `/`, and the engines' files under `/wasm/` and `/ort/`. */
async function serve(files: ReadonlyMap<string, Uint8Array>, isolated: boolean) {
  const file = (path: string): readonly [string, string | Uint8Array] | undefined => {
    if (path === "/")
      return [
        "text/html",
        '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/index.js"></script>',
      ];
    const code = files.get(path.slice(1));
    if (code !== undefined) return ["text/javascript", code];
    const [, served = "", name = ""] = /^\/(wasm|ort)\/([\w.-]+\.(?:wasm|mjs))$/.exec(path) ?? [];
    const folder = ENGINE_FILES[served];
    if (folder === undefined) return undefined;
    return [name.endsWith(".mjs") ? "text/javascript" : "application/wasm", readFileSync(join(folder, name))];
  };
  const server = createServer((request, response) => {
    const found = file(new URL(request.url ?? "/", "http://localhost").pathname);
    response.writeHead(found ? 200 : 404, {
      "Content-Type": found?.[0] ?? "text/plain",
      ...(isolated ? ISOLATED : {}),
    });
    response.end(found?.[1] ?? "not here");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close: () => server.close() };
}

export interface PageOptions {
  /** Cross-origin isolated: with shared memory. */
  readonly isolated: boolean;
  readonly threads: number;
  /** Workers whose program never runs, as some bundlers make them. */
  readonly deaf?: boolean;
}

/** What the page left, and what it said on the console. */
export interface Visit {
  readonly outcome: string;
  readonly isolated: boolean;
  readonly console: readonly string[];
}

/** Opens a page that runs the bundle. */
export async function visit(
  executablePath: string,
  files: ReadonlyMap<string, Uint8Array>,
  options: PageOptions,
): Promise<Visit> {
  const server = await serve(files, options.isolated);
  const browser = await chromium.launch({
    executablePath,
    // A container has no user namespace for the sandbox, and little shared memory.
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
    timeout: NO_LIMIT,
  });
  try {
    // On a coarse screen Plot moves lines by half a pixel, to keep them sharp; on a fine one figures are those of Node.
    const page = await browser.newPage({ deviceScaleFactor: 2 });
    page.setDefaultTimeout(NO_LIMIT);
    const said: string[] = [];
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(String(error)));
    // tfjs takes at most half of the processors, which would leave one of two.
    await page.addInitScript(() => Object.defineProperty(navigator, "hardwareConcurrency", { value: 4 }));
    if (options.deaf) {
      await page.addInitScript(() => {
        Object.assign(globalThis, {
          Worker: class {
            postMessage() {}
            terminate() {}
          },
        });
      });
    }
    await page.goto(`${server.address}?threads=${options.threads}`);
    const [outcome, isolated] = await page.evaluate(() =>
      Promise.all([(globalThis as unknown as { outcome?: Promise<string> }).outcome ?? "", crossOriginIsolated]),
    );
    return { outcome, isolated, console: said };
  } finally {
    await browser.close();
    server.close();
  }
}
