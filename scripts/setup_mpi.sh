#!/bin/sh
# Sets up .venv-mpi with robobrain, its server and a NEST with MPI, beside .venv.
# usage: setup_mpi.sh                               builds NEST from its source distribution, about 18 minutes
#                                                   on two cores, once: pip keeps what it has built
#        NEST_MPI_WHEEL=path/to.whl setup_mpi.sh    uses a wheel that was built before
set -eu
cd "$(dirname "$0")/.."
wheel=${NEST_MPI_WHEEL:-}
venv=.venv-mpi

fail() {
    echo "setup_mpi: $1" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else return 1; fi
}

need_debian() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || fail "install what corresponds to Debian's$missing, and set SYSTEM_PACKAGES=no."
    # shellcheck disable=SC2086  # a list of words
    { as_root apt-get -qq update && as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install $missing; } >/dev/null ||
        fail "no right to install$missing; ask an administrator, or load your cluster's modules and set SYSTEM_PACKAGES=no."
}

python= fits=
minor=$(expr "$wheel" : '.*-cp3\([0-9]*\)-cp3') && fits=python3.$minor  # a wheel is for one version of Python
for candidate in ${PYTHON:-} $fits python3.13 python3.12 python3.11 python3; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "Python 3.11, 3.12 or 3.13 is needed. Install one, or set PYTHON to its path."
[ -z "$wheel" ] || [ -r "$wheel" ] || fail "there is no wheel $wheel."

if [ "${SYSTEM_PACKAGES:-yes}" != no ]; then
    if [ -n "$wheel" ]; then
        need_debian openmpi-bin libopenmpi-dev libgomp1 libgsl27 libltdl7 g++
    else
        need_debian openmpi-bin libopenmpi-dev libgsl-dev libltdl-dev libboost-dev g++ cmake make
    fi
fi
command -v mpirun >/dev/null || fail "no mpirun found: install Open MPI, or load your cluster's module."

[ -x $venv/bin/python ] || "$python" -m venv $venv
pip="$venv/bin/python -m pip install --quiet --disable-pip-version-check"
if [ -n "$wheel" ]; then
    $pip --force-reinstall --no-deps "$wheel"
else
    $pip --no-binary nest-simulator --config-settings=cmake.define.with-mpi=ON 'nest-simulator>=3.10,<3.11'
fi
$pip --editable '.[server,mpi]' 'pytest>=8.3,<10' 'pytest-timeout>=2.3,<3'
$venv/bin/python -c 'import nest, sys; sys.exit(not nest.build_info["have_mpi"])' >/dev/null ||
    fail "the NEST in $venv has no MPI. Remove $venv, and clear what pip has kept with: pip cache remove nest_simulator"
$venv/bin/robobrain brain compile >/dev/null ||
    echo "setup_mpi: the above keeps packed neurons from being compiled; brains are built from NEST's own, at half the speed." >&2
touch $venv/.ready
