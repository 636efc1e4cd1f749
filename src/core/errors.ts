/** One error class with a code: every failure names where it happened, what was found, what was expected and what to do. */

/** The kinds of failure a caller can tell apart. Codes are stable; messages are for people. */
export type ErrorCode =
  | "argument" // a value passed to a public function is out of range or of the wrong kind
  | "parameter" // a distribution's parameter violates its constraint
  | "shape" // shapes do not agree
  | "support" // a value lies outside the support of its distribution
  | "non-finite" // a log-probability, gradient or loss became NaN or infinite
  | "duplicate-site" // one name used by two sites
  | "missing-site" // a guide, data record or trace lacks a site
  | "extra-site" // a guide, data record or trace has a site the model lacks
  | "plate" // plates of one name disagree, or a plate is misused
  | "no-seed" // randomness was needed and no seed was given
  | "not-differentiable" // a gradient was asked of something that has none
  | "unsupported" // the operation has no meaning for this object
  | "trace" // a step cannot be traced: it reads a value, draws at random or depends on something that is no input
  | "engine" // a backend is missing or cannot load
  | "data" // a file is missing, truncated or malformed
  | "aborted"; // the caller's AbortSignal fired

/** What an error may carry beside its message. */
export interface ErrorDetails {
  /** The site at which it happened. */
  readonly site?: string;
  /** The original failure. */
  readonly cause?: unknown;
}

/**
 * Every error this library throws on purpose.
 *
 * @remarks Test `error.code`, not the message.
 */
export class TiltedError extends Error {
  override readonly name = "TiltedError";
  readonly code: ErrorCode;
  readonly site: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.site = details.site;
  }
}

/** Throws a {@link TiltedError}; usable as an expression. */
export function fail(code: ErrorCode, message: string, details?: ErrorDetails): never {
  throw new TiltedError(code, message, details);
}
