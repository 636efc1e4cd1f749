/**
 * The faults of plain tfjs 4.22 that a program can meet, each as a computation with its true answer. One test shows that
 * plain tfjs gets it wrong, another that the library gets it right: a repair that is taken out fails the second, a fault that
 * is mended upstream the first.
 */
import { FIRST } from "./traps/first.ts";
import { SECOND } from "./traps/second.ts";
import type { Trap } from "./traps/trap.ts";
import { VALUES } from "./traps/values.ts";

export const TRAPS: readonly Trap[] = [...SECOND, ...FIRST, ...VALUES];
