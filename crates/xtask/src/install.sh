# Installs the Debian packages "$@" without starting a server or making a database cluster. Run as root.
set -eu
export DEBIAN_FRONTEND=noninteractive

# Asked by every package before it starts its server; 101 means no.
policy=/usr/sbin/policy-rc.d
# Read by postgresql-common, after its own configuration.
cluster=/etc/postgresql-common/createcluster.d/orderly.conf

restore() {
    rm -f "$policy" "$cluster"
    if [ -e "$policy.orderly-saved" ]; then mv "$policy.orderly-saved" "$policy"; fi
}
# What an interrupted run saved is the machine's own.
if [ -e "$policy" ] && [ ! -e "$policy.orderly-saved" ]; then mv "$policy" "$policy.orderly-saved"; fi
trap restore EXIT
trap 'exit 130' HUP INT TERM

printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"
mkdir -p "${cluster%/*}"
echo 'create_main_cluster = false' >"$cluster"

# Waits for another apt, such as a new machine's first update, instead of failing.
install() { apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"; }
# The package lists may be missing or too old to fetch by.
install "$@" || { apt-get -o DPkg::Lock::Timeout=300 update && install "$@"; }
