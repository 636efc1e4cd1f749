#!/usr/bin/env bash
# Installs the peers of the race, at pinned versions, into a virtual environment outside of the tree ($TILTED_PEERS, or a cache folder).
set -euo pipefail
folder="${TILTED_PEERS:-$HOME/.cache/tilted-peers}"
[ -x "$folder/bin/pip" ] || python3 -m venv "$folder"
"$folder/bin/pip" install --quiet numpy==2.4.6 scikit-learn==1.9.1 jax==0.10.2 jaxlib==0.10.2 numpyro==0.22.0 blackjax==1.7.1
"$folder/bin/pip" install --quiet torch==2.15.0 pyro-ppl==1.9.2
npm install --silent --no-fund --no-audit --ignore-scripts --prefix "$folder/node" webppl@0.9.15 @jax-js/jax@0.1.25
"$folder/bin/python" -c 'import blackjax, jax, numpyro, pyro, torch; print("peers:", torch.__version__, pyro.__version__, jax.__version__, numpyro.__version__, blackjax.__version__)'
