/** A graph as an ONNX model, in one run or as a step that is repeated. */
import type { Graph } from "../ir/node.ts";
import { createEmitter, type Emitter, type Precision } from "../onnx/emit.ts";
import { inputNames, type Lowered, lowerNodes, modelOf, nameOutputs, outputKey } from "./nodes.ts";
import { prepare } from "./prepare.ts";
import { lowerScan, type ScanOptions } from "./scan.ts";

export interface LowerOptions {
  readonly precision?: Precision;
  readonly scan?: ScanOptions;
}

function lowerOnce(e: Emitter, graph: Graph): Lowered {
  const names = inputNames(graph);
  lowerNodes(e, graph.nodes, names);
  const results = graph.outputs.map((o) => ({ from: names.get(o.node)!, to: outputKey(o.name) }));
  return modelOf(e, graph, nameOutputs(e.scope, results));
}

/** The ONNX model of `graph` in the given precision, as one run or as `scan.length` steps. */
export function lower(graph: Graph, { precision = "float32", scan }: LowerOptions = {}): Lowered {
  const prepared = prepare(graph, precision);
  const e = createEmitter(precision);
  return scan ? lowerScan(e, prepared, scan) : lowerOnce(e, prepared);
}
