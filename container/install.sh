#!/bin/sh
# Makes flairline's image out of a bare Debian: run as root in it, from a copy of the repository.
#
#     sh container/install.sh
#
# Comes in: Debian's Python (3.11 or later) and what pip is configured to find (PIP_FIND_LINKS, PIP_CONSTRAINT, pip.conf).
# Goes out: /opt/flairline, a virtual environment with the weights of every method that has some, and the command
# `flairline`. No compiler, no source and no cache stays.
set -eu

SOURCE=$(cd "$(dirname "$0")/.." && pwd)
PLACE=/opt/flairline
EXTRAS=deep,dicom,cluster
CPU_TORCH=https://download.pytorch.org/whl/cpu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
export PIP_ROOT_USER_ACTION=ignore

apt-get update -qq
apt-get install -y -qq --no-install-recommends ca-certificates python3 python3-venv >/dev/null
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "install.sh: wanted Python 3.11 or later, got $(python3 --version). Start from Debian 12 or later." >&2
    exit 1
}

# The build bundles the pages' viewer beside its sources, and these may be read-only.
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
for part in LICENSE README.md constraints.txt hatch_build.py package-lock.json package.json pyproject.toml src; do
    cp -R "$SOURCE/$part" "$build"
done

python3 -m venv "$PLACE"
# PyPI's torch for Linux brings gigabytes of CUDA along. Whoever says where else to look says where torch is as well.
if ! "$PLACE/bin/pip" config list | grep -E "find-links|index-url" >/dev/null; then
    export PIP_EXTRA_INDEX_URL="$CPU_TORCH"
fi
"$PLACE/bin/pip" install --quiet -c "$build/constraints.txt" "$build[$EXTRAS]"

# What no program here reads: headers, and libraries' own tests. pip goes too: nothing is to be added to an image.
packages=$("$PLACE/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -rf "$packages/torch/include" "$packages/torch/test"
find "$packages" -depth -type d \( -name tests -o -name testing_data \) \
    ! -path "*/numpy/*" ! -path "*/torch/*" ! -path "*/numba/*" -exec rm -rf {} +
"$PLACE/bin/pip" uninstall --quiet -y setuptools pip

# The image says what it is (dataset_description.json names it), and takes no packages from the user's own folders:
# Apptainer hands over the caller's variables and home.
cat >/usr/local/bin/flairline <<END
#!/bin/sh
unset PYTHONPATH PYTHONHOME
export FLAIRLINE_CONTAINER="\${FLAIRLINE_CONTAINER:-flairline:$("$PLACE/bin/flairline" --version | sed 's/.* //')}"
exec $PLACE/bin/flairline "\$@"
END
chmod 755 /usr/local/bin/flairline

"$PLACE/bin/python" - <<'END'
import torch
from deepbet.bet import BrainExtraction

from flairline.methods.synthetic_unet import Method

if torch.version.cuda is not None:
    raise SystemExit(f"install.sh: wanted torch for the CPU, got {torch.__version__}: set PIP_FIND_LINKS or an index.")
Method().fit()
BrainExtraction(no_gpu=True)
END

apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old # not /tmp: Apptainer lends the machine's
