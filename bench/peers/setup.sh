#!/usr/bin/env bash
# Installs what the measured servers in other languages need, beside them: setup.sh node|python
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
case ${1:-} in
node)
  cmp -s node/package-lock.json node/node_modules/installed.json && exit
  npm ci --prefix node --no-audit --no-fund --loglevel=error >/dev/null
  cp node/package-lock.json node/node_modules/installed.json
  ;;
python)
  cmp -s python/requirements.txt python/env/installed.txt && exit
  rm -rf python/env
  python3 -m venv python/env
  python/env/bin/pip install -q --disable-pip-version-check -r python/requirements.txt
  cp python/requirements.txt python/env/installed.txt
  ;;
*)
  echo "usage: setup.sh node|python" >&2
  exit 2
  ;;
esac
