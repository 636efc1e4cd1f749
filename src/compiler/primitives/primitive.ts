/** A primitive: one record with everything that the compiler needs of an op. */
import type { Attrs, Node, TensorType } from "../ir/node.ts";
import type { Lowering, Precision } from "../onnx/emit.ts";

/** Shape and dtype of the value; an error of code `shape` that names the primitive where the operands do not agree. */
export type TypeRule = (inputs: readonly Node[], attrs: Attrs, op: string) => TensorType;

/** A primitive written with others; undefined where it should stay. */
export type Decomposition<B> = (builder: B, inputs: readonly Node[], attrs: Attrs) => Node | undefined;

/** A primitive of a family whose decompositions build with `B`. */
export interface Primitive<B> {
  readonly type: TypeRule;
  /** One element of the value from one element of each operand, in doubles; elementwise primitives have it. */
  readonly meaning?: (...x: number[]) => number;
  /** ONNX nodes of its value. Left out where it is always decomposed. */
  readonly lower?: Lowering;
  /** By precision of the program: where ONNX Runtime lacks the primitive, has it for single precision only, or does it slowly. */
  readonly decompose?: { readonly [P in Precision]?: Decomposition<B> };
  /** Multiplications of one value, where they are many to an element. */
  readonly cost?: (node: Node) => number;
}

/** The methods that a family adds to the builder of those before it: each makes the one node of its value, and checks shapes. */
export type Constructors<B, Below> = Omit<B, keyof Below> & ThisType<B>;

/** The primitives of one family by name. */
export type Family<B> = { readonly [op: string]: Primitive<B> };

/** Inputs of a tfjs kernel by name; lists of inputs (concat) by index, in order. */
export type KernelInputs = { readonly [name: string]: Node };

/** A tfjs kernel as primitives: the nodes of its outputs. Attributes are those that tfjs passes. */
export type TraceKernel<B> = (builder: B, inputs: KernelInputs, attrs: never) => Node | readonly Node[];

/** Trace kernels by the names that tfjs gives them. */
export type TraceKernels<B> = { readonly [kernelName: string]: TraceKernel<B> };
