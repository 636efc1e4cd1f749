/** The page: runs the program and leaves what it found, or the error, where the test reads it. */
import { findings } from "./checks.ts";

const page = globalThis as unknown as { outcome: Promise<string>; location: { search: string } };
const threads = Number(new URLSearchParams(page.location.search).get("threads"));
page.outcome = findings({ wasmPaths: "/wasm/", threads }).then(
  (found) => JSON.stringify({ found }),
  (error: Error) => JSON.stringify({ error: `${error.stack ?? error}` }),
);
