#!/usr/bin/env bash
# For development: builds the native addon of @tensorflow/tfjs-node-gpu from source, on Linux, against the libtensorflow of
# a TensorFlow wheel, in a folder of its own. Nothing that it downloads or builds belongs in this tree. See docs/node-gpu.md.
#
#   scripts/build-tfjs-node.sh FOLDER [WHEEL] [PACKAGE]
#
#   FOLDER   where everything goes: about 1.3 GB; made if it is not there
#   WHEEL    which TensorFlow: tensorflow-cpu==2.15.1 unless told otherwise
#   PACKAGE  the npm package that is installed under the name of the GPU package: @tensorflow/tfjs-node-gpu@4.22.0
#
# Needs node, npm (which brings node-gyp), python3 with pip, make and a C++ compiler. The headers of Node are taken from
# NODEDIR, by default the place where Node is installed, and only where they are not there from node-gyp's download.
set -euo pipefail

NAME=@tensorflow/tfjs-node-gpu
# The name that the package's own install script looks for on Linux, whatever the version of the library is.
EXPECTED=2.9.1
# Any CPython for which there is a wheel will do: nothing of Python is used.
PYTHON=3.11

say() { printf '\n== %s\n' "$*"; }
stop() {
  printf 'build-tfjs-node: %s\n' "$*" >&2
  exit 1
}

[ $# -ge 1 ] || stop "name a folder for the build: scripts/build-tfjs-node.sh FOLDER [WHEEL] [PACKAGE]"
[ "$(uname -s)" = Linux ] || stop "made for Linux only: elsewhere the package's own install script downloads what it needs"
for tool in node npm python3 make c++; do
  command -v "$tool" >/dev/null || stop "$tool is needed and was not found"
done
mkdir -p "$1"
folder=$(cd "$1" && pwd)
wheel=${2:-tensorflow-cpu==2.15.1}
package=${3:-$NAME@4.22.0}
nodedir=${NODEDIR:-$(node -p 'require("node:path").dirname(require("node:path").dirname(process.execPath))')}

say "1. npm packages, without their install scripts ($package)"
cd "$folder"
[ -f package.json ] || echo '{ "name": "tfjs-node-build", "private": true, "type": "module" }' >package.json
npm install --ignore-scripts --no-audit --no-fund "$NAME@npm:$package"
addon="$folder/node_modules/$NAME"

say "2. TensorFlow wheel ($wheel)"
mkdir -p "$folder/wheel"
python3 -m pip download --no-deps --only-binary=:all: --python-version "$PYTHON" \
  --platform "manylinux2014_$(uname -m)" --platform "manylinux_2_17_$(uname -m)" --platform "manylinux_2_27_$(uname -m)" \
  -d "$folder/wheel" "$wheel"
file=$(find "$folder/wheel" -name "$(echo "${wheel%%==*}" | tr - _)-${wheel##*==}-*.whl" -print -quit)
[ -n "$file" ] || stop "the wheel of $wheel is not in $folder/wheel"

say "3. Headers and libraries into deps/"
rm -rf "$addon/deps"
mkdir -p "$addon/deps/lib"
python3 - "$file" "$addon/deps" <<'PYTHON'
import os, shutil, sys, zipfile

wheel, deps = sys.argv[1:]
HEADERS = "tensorflow/include/"
LIBRARIES = ("tensorflow/libtensorflow_cc.so.2", "tensorflow/libtensorflow_framework.so.2")
# What the headers of the C API include.
WANTED = ("tensorflow/c/", "tensorflow/core/platform/", "tsl/", "xla/tsl/")

def copy(archive, name, to):
    os.makedirs(os.path.dirname(to), exist_ok=True)
    with archive.open(name) as source, open(to, "wb") as target:
        shutil.copyfileobj(source, target)

with zipfile.ZipFile(wheel) as archive:
    names = archive.namelist()
    for name in names:
        if name.startswith(HEADERS) and name.endswith(".h") and name[len(HEADERS):].startswith(WANTED):
            copy(archive, name, os.path.join(deps, "include", name[len(HEADERS):]))
    for name in names:
        base = os.path.basename(name)
        if name in LIBRARIES or (base and ".libs/" in name) or base.startswith("libiomp5"):
            copy(archive, name, os.path.join(deps, "lib", base))
    missing = [name for name in LIBRARIES if name not in names]
    if missing:
        sys.exit(f"build-tfjs-node: the wheel has no {', '.join(missing)}")
PYTHON
cd "$addon/deps/lib"
ln -sf libtensorflow_cc.so.2 libtensorflow.so
ln -sf libtensorflow_cc.so.2 "libtensorflow.so.$EXPECTED"
ln -sf libtensorflow_framework.so.2 libtensorflow_framework.so
ln -sf libtensorflow_framework.so.2 "libtensorflow_framework.so.$EXPECTED"
ls -l

say "4. The addon, from source, one job at a time (Node $(node -p process.version), headers: $nodedir)"
cd "$addon"
headers=()
[ -f "$nodedir/include/node/node_api.h" ] && headers=(--nodedir="$nodedir")
npm exec --offline -- node-pre-gyp install --build-from-source --jobs=1 "${headers[@]}"

say "5. Does it load?"
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=1 node --input-type=module -e '
  import util from "node:util";
  util.isNullOrUndefined ??= (value) => value === null || value === undefined;
  const { default: tf } = await import("@tensorflow/tfjs-node-gpu");
  const [sum] = tf.matMul([[1, 2]], [[3], [4]]).dataSync();
  if (sum !== 11) throw new Error(`1 * 3 + 2 * 4 = ${sum}`);
  console.log("TensorFlow", tf.backend().binding.TF_Version, "| GPU used:", tf.backend().isUsingGpuDevice);
'
say "Done. Use it with: TILTED_NODE_GPU=$folder"
