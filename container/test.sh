#!/bin/bash
# Makes the image's root out of a bare Debian, without docker, and runs flairline in it: make container-test, as root.
#
# debootstrap makes the Debian that the Dockerfile begins with, install.sh is run in it by chroot, and then `flairline
# bids` takes a phantom data set as a user whom nobody knows, with a root that is read-only and no network.
#
# KEEP=FOLDER keeps the root there; where one is there it is taken as it is, and only run.
#
# Everything is mounted in a mount namespace of its own, which the system takes down with the last process in it, however
# that ends; so the folder that is removed afterwards has no mounts in it.
set -euo pipefail

SUITE=bookworm MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
MOST_MB=2500
NOBODY=54321
HERE=$(cd "$(dirname "$0")" && pwd)

stop() {
    echo "container-test: $*" >&2
    exit 1
}

if [ "${1:-}" != inside ]; then
    [ "$(id -u)" = 0 ] || stop "wanted root, for chroot and mount; got user $(id -u)"
    for program in debootstrap unshare chroot; do
        command -v $program >/dev/null || stop "wanted $program: apt-get install debootstrap util-linux coreutils"
    done
    if [ -n "${KEEP:-}" ]; then
        mkdir -p "$KEEP"
        place=$(cd "$KEEP" && pwd)
    else
        place=$(mktemp -d /var/tmp/flairline-container.XXXXXX)
        trap 'rm -rf --one-file-system "$place"' EXIT
    fi
    trap 'exit 130' INT TERM
    unshare --mount --propagation private --pid --fork --kill-child bash "$HERE/test.sh" inside "$place"
    exit
fi

PLACE=$2 ROOT=$2/root SEALED=$2/sealed
minutes() { awk -v seconds="$SECONDS" 'BEGIN { printf "%.1f minutes", seconds / 60 }'; }

furnish() { # what any runtime gives a container
    mount -t tmpfs -o mode=755 dev "$1/dev"
    mount -t proc proc "$1/proc"
    for device in null:3 zero:5 full:7 random:8 urandom:9; do
        mknod -m 666 "$1/dev/${device%:*}" c 1 "${device#*:}"
    done
    ln -s /proc/self/fd "$1/dev/fd"
    mkdir -m 1777 "$1/dev/shm" "$1/dev/pts"
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$1/dev/pts"
    ln -s pts/ptmx "$1/dev/ptmx"
}

lent=() # mounted for the installation only
lend() {
    if [ -d "$1" ]; then mkdir -p "$ROOT$2"; else mkdir -p "$ROOT$(dirname "$2")" && touch "$ROOT$2"; fi
    mount --bind "$1" "$ROOT$2"
    mount -o remount,bind,ro "$ROOT$2"
    lent+=("$ROOT$2")
}

install_in_bare_debian() {
    SECONDS=0
    debootstrap --variant=minbase $SUITE "$ROOT" "$MIRROR" >"$PLACE/log" 2>&1 || {
        tail -20 "$PLACE/log" >&2
        stop "debootstrap failed"
    }
    mkdir "$ROOT"/mnt/{data,out,scratch}
    echo "bare Debian ($SUITE): $(minutes)"

    # pip's configuration as variables; what it names on this machine is lent under the same path.
    given=()
    while IFS='=' read -r name value; do
        key=$(echo "${name##*.}" | tr a-z- A-Z_)
        value=${value#\'} value=${value%\'}
        [ "$key" != CERT ] || continue
        for word in $value; do
            path=${word#file://}
            [ "${path#/}" != "$path" ] && [ -e "$path" ] || continue
            case $key in *INDEX_URL) path=$(dirname "$path") ;; esac # its pages link to files beside it
            mountpoint -q "$ROOT$path" || lend "$path" "$path"
        done
        given+=("PIP_$key=$value")
    done < <(python3 -m pip config list | sort -r) # what variables say comes last, and counts
    certificates=${PIP_CERT:-$(python3 -m pip config get global.cert 2>/dev/null || true)}
    if [ -f "$certificates" ]; then # under another name: the installation of ca-certificates writes its own
        lend "$certificates" /mnt/certificates.pem
        given+=(PIP_CERT=/mnt/certificates.pem NODE_EXTRA_CA_CERTS=/mnt/certificates.pem)
    fi
    lend /etc/resolv.conf /etc/resolv.conf
    lend "$(dirname "$HERE")" /mnt/source
    furnish "$ROOT"
    lent+=("$ROOT/dev/pts" "$ROOT/dev" "$ROOT/proc")

    SECONDS=0
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root ${given[@]+"${given[@]}"} \
        chroot "$ROOT" sh /mnt/source/container/install.sh || stop "install.sh failed"
    echo "install.sh: $(minutes)"
    for place in "${lent[@]}"; do umount "$place"; done
}

rm -rf "$PLACE"/{data,out,scratch,sealed}
mkdir -p "$PLACE"/{data,out,scratch,sealed}
[ -x "$ROOT/usr/local/bin/flairline" ] || install_in_bare_debian
size=$(du -sm "$ROOT" | cut -f1)
echo "root: $size MB (at most $MOST_MB)"
[ "$size" -le $MOST_MB ] || {
    du -sm "$ROOT"/* "$ROOT"/opt/flairline/lib/python3*/site-packages/* | sort -n | tail -30 >&2
    stop "the image is too large"
}

# From here on as in a container: read-only but for what its user gives it, no network, a user without a name.
mount --bind "$ROOT" "$SEALED"
mount -o remount,bind,ro "$SEALED"
furnish "$SEALED"
for folder in data out scratch; do mount --bind "$PLACE/$folder" "$SEALED/mnt/$folder"; done
chown $NOBODY:$NOBODY "$PLACE"/{data,out,scratch}
contained() {
    env -i PATH=/usr/local/bin:/usr/bin:/bin TMPDIR=/mnt/scratch ${THREADS:+FLAIRLINE_THREADS=$THREADS} \
        "$(command -v unshare)" --net "$(command -v chroot)" --userspec=$NOBODY:$NOBODY --groups= "$SEALED" "$@"
}
contained true
! contained getent passwd $NOBODY || stop "user $NOBODY has a name"
! contained sh -c 'touch /opt/flairline/written || touch /tmp/written' 2>/dev/null || stop "the root can be written to"
[ "$(contained sed -n '3,$s/:.*//p' /proc/net/dev | tr -d ' ')" = lo ] || stop "there is a network"
echo "user $(contained id -u) without a name, root read-only, no network"

SECONDS=0
contained /opt/flairline/bin/python - /mnt/data <"$HERE/phantom.py"
mount -o remount,bind,ro "$SEALED/mnt/data"
contained flairline --version
contained flairline bids /mnt/data /mnt/out participant --nprocs 2
contained flairline bids /mnt/data /mnt/out group
echo "flairline bids, two phantoms of 2 mm with skulls: $(minutes)"
cut -f1-6 "$PLACE/out/group_scans.tsv"
grep -A 12 GeneratedBy "$PLACE/out/dataset_description.json"
[ -z "$(find "$PLACE/out" -name '*.part')" ] || stop "something half-written stayed"
echo "container-test: passed"
