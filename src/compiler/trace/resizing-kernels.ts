/** Kernels of tfjs that resize images: products of a matrix with each axis. */
import type { Node } from "../ir/node.ts";
import type { Builder } from "../primitives/builder.ts";
import type { TraceKernel, TraceKernels } from "../primitives/primitive.ts";

interface ResizeAttrs {
  readonly alignCorners: boolean;
  readonly halfPixelCenters: boolean;
  readonly size: [number, number];
}

/** Row r of the matrix of a resizing says which places of the old axis place r of the new one reads, and how much of each. */
function weights(
  from: number,
  to: number,
  { alignCorners, halfPixelCenters }: ResizeAttrs,
  nearest: boolean,
): Float32Array {
  const cornered = alignCorners && to > 1;
  const ratio = (cornered ? from - 1 : from) / (cornered ? to - 1 : to);
  const out = new Float32Array(to * from);
  const add = (r: number, place: number, share: number) => {
    const at = r * from + Math.min(from - 1, Math.max(0, place));
    out[at] = (out[at] as number) + share;
  };
  for (let r = 0; r < to; r++) {
    if (nearest) {
      const place = halfPixelCenters ? ratio * (r + 0.5) : ratio * r;
      add(r, alignCorners ? Math.round(place) : Math.floor(place), 1);
      continue;
    }
    const place = halfPixelCenters ? ratio * (r + 0.5) - 0.5 : ratio * r;
    const low = Math.max(0, Math.floor(place));
    add(r, low, 1 - (place - low));
    add(r, Math.ceil(place), place - low);
  }
  return out;
}

/** Multiplies one axis of an image by a matrix, or by its transpose. */
function along(b: Builder, x: Node, axis: 1 | 2, matrix: Node, transposeA: boolean): Node {
  const order = axis === 1 ? [1, 0, 2, 3] : [2, 0, 1, 3];
  const moved = b.transpose(x, order);
  const [size, ...rest] = moved.shape as [number, number, number, number];
  const product = b.matmul(matrix, b.reshape(moved, [size, rest.reduce((n, d) => n * d, 1)]), { transposeA });
  const back = axis === 1 ? [1, 0, 2, 3] : [1, 2, 0, 3];
  return b.transpose(b.reshape(product, [product.shape[0] as number, ...rest]), back);
}

function resize(
  b: Builder,
  x: Node,
  small: readonly number[],
  large: readonly number[],
  attrs: ResizeAttrs,
  nearest: boolean,
  adjoint: boolean,
) {
  return ([1, 2] as const).reduce((out, axis) => {
    const [from, to] = [small[axis] as number, large[axis] as number];
    return along(b, out, axis, b.constant(weights(from, to, attrs, nearest), [to, from]), adjoint);
  }, x);
}

const resizing =
  (nearest: boolean): TraceKernel<Builder> =>
  (b, { images }, attrs: ResizeAttrs) =>
    resize(b, b.cast(images!, "float32"), images!.shape, [0, ...attrs.size], attrs, nearest, false);

const resizingGrad =
  (nearest: boolean): TraceKernel<Builder> =>
  (b, { images, dy }, attrs: ResizeAttrs) =>
    resize(b, dy!, images!.shape, dy!.shape, attrs, nearest, true);

export const RESIZING_KERNELS: TraceKernels<Builder> = {
  ResizeBilinear: resizing(false),
  ResizeBilinearGrad: resizingGrad(false),
  ResizeNearestNeighbor: resizing(true),
  ResizeNearestNeighborGrad: resizingGrad(true),
};
