/** Trees of tensors: flat records by name. Parameters, states and noise all have this form. */
import type * as tf from "@tensorflow/tfjs-core";
import { fromTensor, type NdArray } from "./array.ts";

/** Named values; insertion order is the canonical order. */
export type Tree<T> = { readonly [name: string]: T };
export type TensorTree = Tree<tf.Tensor>;
export type ArrayTree = Tree<NdArray>;

export function mapTree<A, B>(tree: Tree<A>, f: (value: A, name: string) => B): { [name: string]: B } {
  const out: { [name: string]: B } = {};
  for (const name of Object.keys(tree)) out[name] = f(tree[name] as A, name);
  return out;
}

/** Copies every tensor out of the engine. */
export const toArrays = (tree: TensorTree): { [name: string]: NdArray } => mapTree(tree, fromTensor);

/** Tensors of every array, in the current scope. */
export const toTensors = (tree: ArrayTree): { [name: string]: tf.Tensor } => mapTree(tree, (a) => a.tensor());
