#!/usr/bin/env bash
# Installs @tensorflow/tfjs-node 4.22.0 where the host that it downloads libtensorflow and its binding from can't be reached.
# npm brings the package, PyPI's wheel tensorflow-cpu 2.15.1 brings the C library and its headers (the package's own library is 2.9.1;
# the functions of the C interface are the same), and the C++ compiler builds the binding. Computes on the CPU; for Linux on x64.
#
#   bash src/tensor/tensorflow/build-binding.sh
#
# in the project's folder. Needs Node 20 or 22 with its headers (include/node beside bin/node, as in Node's own archives; else
# NODE_INCLUDE=DIR says where node_api.h is), g++, and pip of any Python 3. Downloads 0.2 GB, which stay in .cache/tensorflow, and
# leaves 0.6 GB in node_modules/@tensorflow/tfjs-node. package.json and the lock file stay as they are; `npm ci` takes it out again.
set -euo pipefail
cd "$(dirname "$0")/../../.."

TFJS=4.22.0
TENSORFLOW=2.15.1
WHEEL=tensorflow_cpu-$TENSORFLOW-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
SHA256=54660c074d7241a503e81edfd9f5ef5af88f64051b72e2945f26318c790f2d26
CACHE=.cache/tensorflow
PACKAGE=node_modules/@tensorflow/tfjs-node

stop() { echo "error: $*" >&2; exit 1; }

[ "$(uname -s) $(uname -m)" = 'Linux x86_64' ] || stop "the wheel's library is for Linux on x64, this is $(uname -s) $(uname -m)"
for tool in node npm g++ python3; do command -v "$tool" >/dev/null || stop "$tool is missing"; done
python3 -m pip --version >/dev/null 2>&1 || stop 'pip is missing: it downloads the wheel'
[ "$(node -p 'process.versions.node.split(".")[0]')" -le 22 ] || stop "tfjs-node $TFJS needs Node 22 or older, this is $(node --version)"
NODE_INCLUDE=${NODE_INCLUDE:-$(node -p 'require("path").resolve(require("fs").realpathSync(process.execPath), "../../include/node")')}
[ -f "$NODE_INCLUDE/node_api.h" ] || stop "$NODE_INCLUDE/node_api.h is missing: set NODE_INCLUDE to the folder of Node's headers"
[ -d node_modules/@tensorflow/tfjs-core ] || stop "the project's packages are missing: run npm ci first"

echo "1/4 @tensorflow/tfjs-node $TFJS"
[ "$(node -p "require('./$PACKAGE/package.json').version" 2>/dev/null)" = "$TFJS" ] || npm install --no-save -P --ignore-scripts "@tensorflow/tfjs-node@$TFJS"
[ -f "$PACKAGE/package.json" ] || stop "npm did not install $PACKAGE"

echo "2/4 tensorflow-cpu $TENSORFLOW"
mkdir -p "$CACHE"
if ! echo "$SHA256  $CACHE/$WHEEL" | sha256sum --check --status 2>/dev/null; then
  python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.11 --platform manylinux2014_x86_64 --dest "$CACHE" "tensorflow-cpu==$TENSORFLOW"
  echo "$SHA256  $CACHE/$WHEEL" | sha256sum --check --status || stop "$CACHE/$WHEEL is not the file that was expected (SHA-256 $SHA256): delete it and try again"
fi
rm -rf "$PACKAGE/deps" && mkdir -p "$PACKAGE/deps/lib"
python3 - "$CACHE/$WHEEL" "$PACKAGE/deps" <<'PYTHON'
import os, shutil, sys, zipfile

wheel, deps = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        folder, _, path = name.partition('/')
        if folder != 'tensorflow':
            continue
        if path in ('libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'):
            target = os.path.join(deps, 'lib', path)
        elif path.startswith(('include/tensorflow/c/', 'include/tensorflow/core/platform/ctstring', 'include/tsl/c/', 'include/tsl/platform/ctstring')) and path.endswith('.h'):
            target = os.path.join(deps, path)
        else:
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with archive.open(name) as source, open(target, 'wb') as file:
            shutil.copyfileobj(source, file)
PYTHON

echo '3/4 the binding'
BINDING=$(node -e "
  const file = require('path').resolve('$PACKAGE/package.json');
  console.log(require('module').createRequire(file)('@mapbox/node-pre-gyp').find(file));
")
mkdir -p "$(dirname "$BINDING")"
g++ -shared -fPIC -O2 -std=c++14 -DNAPI_VERSION=8 -I "$PACKAGE/deps/include" -I "$NODE_INCLUDE" -I "$PACKAGE" \
  "$PACKAGE/binding/tfjs_backend.cc" "$PACKAGE/binding/tfjs_binding.cc" -o "$BINDING" \
  -L "$PACKAGE/deps/lib" -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2 '-Wl,-rpath,$ORIGIN/../../deps/lib'

echo '4/4 a matrix product'
TF_CPP_MIN_LOG_LEVEL=2 node -e "
  const tf = require('./$PACKAGE');
  const c = tf.matMul(tf.tensor2d([[1, 2], [3, 4]]), tf.tensor2d([[5, 6], [7, 8]])).dataSync().join();
  if (tf.getBackend() !== 'tensorflow' || c !== '19,22,43,50') throw new Error(tf.getBackend() + ' computes ' + c);
  console.log('libtensorflow ' + tf.backend().binding.TF_Version + ' computes: npx qdetr doctor');
"
