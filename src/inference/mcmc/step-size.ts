/** Step-size adaptation by dual averaging (Nesterov 2009; Hoffman & Gelman 2014, section 3.2), as a pure step. */

/** State of the adaptation. */
export interface StepSizeState {
  readonly logStep: number;
  /** The average that is used once warm-up is over. */
  readonly logAverage: number;
  readonly error: number;
  readonly count: number;
  /** Where the iterates are drawn to. */
  readonly centre: number;
}

const GAMMA = 0.05;
const T0 = 10;
const KAPPA = 0.75;

/** The iterates are drawn towards ten times the first step: too large is found out cheaply, too small is not. */
export const startStepSize = (step: number): StepSizeState => ({
  logStep: Math.log(step),
  logAverage: Math.log(step),
  error: 0,
  count: 0,
  centre: Math.log(10 * step),
});

/** Moves the step so that the acceptance approaches `target`. */
export function adaptStepSize(state: StepSizeState, acceptance: number, target: number): StepSizeState {
  const count = state.count + 1;
  const weight = 1 / (count + T0);
  const error = (1 - weight) * state.error + weight * (target - acceptance);
  const logStep = state.centre - (Math.sqrt(count) / GAMMA) * error;
  const eta = count ** -KAPPA;
  return { ...state, count, error, logStep, logAverage: eta * logStep + (1 - eta) * state.logAverage };
}
