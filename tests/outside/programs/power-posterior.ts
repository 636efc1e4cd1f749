/** A handler of one's own: data count in part, so that inference finds the power posterior p(z)p(x|z)ᵗ. */
import { handler } from "tilted";

/** Raises the likelihood to the power `t` ≥ 0; the prior stays. */
export const powerPosterior = (t: number) =>
  handler(
    () =>
      function* (effect) {
        return yield effect.kind === "observe" ? { ...effect, scale: t } : effect;
      },
  );
