# Sourced by the other commands: what a fresh machine needs. Prints what it does, installs only what is missing.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv

say() { printf '%s\n' "$*" >&2; }
die() { say "$0: $*"; exit 1; }

require_machine() {
  [ "$(uname -s)" = Linux ] || die "this needs Linux (containers), and here is $(uname -s): use a Linux machine or a virtual one"
  [ "$(id -u)" = 0 ] || die "this needs root (network namespaces, mounts, cgroups): run it as: sudo $0"
  command -v python3 >/dev/null || die "python3 is missing: apt-get install -y python3 python3-venv"
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "Python 3.11 or newer is needed, and here is $(python3 --version): Debian 12 and Ubuntu 24.04 have it"
}

# Debian's packages that are not installed yet.
install_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} = 0 ] && return
  command -v apt-get >/dev/null || die "these packages are missing, and here is no apt-get: ${missing[*]}"
  say "installing ${missing[*]} (Debian packages) …"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    die "apt-get could not install ${missing[*]}"
}

# What Dryport itself needs of the system. libnss-myhostname comes before dockerd starts: with it every name under
# .localhost is this machine, for Docker too.
platform_packages() { cat "$root/bin/debian-packages"; }

make_environment() { # extras
  local wanted; wanted=$(cat "$root/pyproject.toml" <(printf '%s' "$1") | sha256sum | cut -c1-16)
  [ "$(cat "$venv/.made-from" 2>/dev/null)" = "$wanted" ] && return
  python3 -m venv --help >/dev/null 2>&1 && python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
  say "creating the Python environment in .venv …"
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv" || die "python3 -m venv failed"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e "$root[$1]" 2> >(grep -v WARNING >&2) ||
    die "pip could not install Dryport's dependencies"
  "$venv/bin/python" -m dryport.gateway.models || die "the service models could not be prepared"
  "$venv/bin/python" -m compileall -q "$root/dryport" || true  # half of a start would be compiling; a tree that cannot be written does it each time
  printf '%s' "$wanted" >"$venv/.made-from"
}

docker_runs() { docker info >/dev/null 2>&1; }

# Starts dockerd where none runs; dockerd_pid is then its process, for whoever wants to stop it.
dockerd_pid=
ensure_dockerd() { # log file
  docker_runs && return
  if [ -d /run/systemd/system ]; then
    systemctl start docker || die "the Docker service does not start: journalctl -u docker"
  else
    say "starting dockerd …"
    setsid dockerd >"$1" 2>&1 </dev/null &
    dockerd_pid=$!
  fi
  local i
  for i in $(seq 150); do docker_runs && return; sleep 0.2; done
  die "dockerd does not answer after 30 s: see $1"
}

stop_dockerd() {
  [ -n "$dockerd_pid" ] || return 0
  kill "$dockerd_pid" 2>/dev/null && wait "$dockerd_pid" 2>/dev/null
  dockerd_pid=
}
