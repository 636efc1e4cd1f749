/** Networks as exported constants. */
import { convolution, heNormal, linear, mlp, silu } from "tilted/nn";

export const layer = linear("layer", 2, 3);
export const network = mlp("network", [2, 8, 1], { activation: silu, weightInit: heNormal });
export const picture = convolution("picture", 1, 2, { kernel: 3 });
