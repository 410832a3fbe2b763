#!/bin/sh
# Sets up .venv with robobrain and what it needs, from nothing but a bare Debian with Python 3.11 or newer.
# usage: setup.sh base   to run it
#        setup.sh dev    to test it as well
set -eu
purpose=${1:-base}
cd "$(dirname "$0")/.."

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else return 1; fi
}

install_debian() {
    command -v apt-get >/dev/null || return 1
    as_root apt-get -qq update && as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install "$@" >/dev/null
}

find_python() {
    for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

python=$(find_python)
if [ -z "$python" ]; then
    install_debian python3 python3-venv || true
    python=$(find_python)
fi
if [ -z "$python" ]; then
    echo "setup: Python 3.11, 3.12 or 3.13 is needed. Install one, or set PYTHON to its path." >&2
    exit 1
fi

if [ ! -x .venv/bin/python ]; then
    rm -rf .venv
    if ! "$python" -m venv .venv 2>/dev/null; then
        rm -rf .venv
        install_debian python3-venv || {
            echo "setup: '$python -m venv' does not work. Install Debian's python3-venv." >&2
            exit 1
        }
        "$python" -m venv .venv
    fi
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable "$([ "$purpose" = dev ] && echo '.[dev]' || echo .)"

# Brains run about twice as fast from neurons that are compiled for this NEST; without a compiler from NEST's own.
if [ -z "${CXX:-}" ] && ! command -v g++ >/dev/null; then
    install_debian g++ || true
fi
.venv/bin/robobrain brain compile >/dev/null || {
    echo "setup: the above keeps packed neurons from being compiled; brains are built from NEST's own, at half the speed." >&2
}

# Pictures are rendered in software through EGL; without it everything else works.
if ! .venv/bin/python -c 'import ctypes; ctypes.CDLL("libEGL.so.1"); ctypes.CDLL("libGL.so.1")' 2>/dev/null; then
    install_debian libegl1 libgl1 libgl1-mesa-dri || {
        echo "setup: no OpenGL found and no right to install it; pictures of the arm will be left out." >&2
        echo "setup: install libegl1, libgl1 and libgl1-mesa-dri to get them." >&2
    }
fi
# The pages of reports are tested in a real browser.
if [ "$purpose" = dev ] && ! command -v chromedriver >/dev/null; then
    install_debian chromium chromium-driver || {
        echo "setup: no chromedriver found and no right to install it; tests of pages in a browser are left out." >&2
        echo "setup: install chromium and chromium-driver to run them." >&2
    }
fi
touch ".venv/.ready-$purpose"
