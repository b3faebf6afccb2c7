# What scripts/capacity and scripts/overload share; they source it.

# measure NAME COMMAND ARGUMENT...: builds, runs a command of test/capacity with a folder of its own, and removes the folder.
measure() {
  local name=$1 command=$2 base=${BENCH_DIR:-${TMPDIR:-/tmp}} flags=() report
  shift 2
  report=$base/dapple-$name.json
  while [ $# -gt 0 ]; do
    case $1 in
      -n | -c | -d | -o) [ $# -gt 1 ] || { echo "$name: $1 needs a value" >&2; exit 2; } ;;&
      -n) flags+=(--files "$2"); shift 2 ;;
      -c) flags+=(--clients "$2"); shift 2 ;;
      -d) case $2 in *[!0-9]*) flags+=(--duration "$2") ;; *) flags+=(--duration "$2s") ;; esac; shift 2 ;;
      -o) report=$2; shift 2 ;;
      --) shift; for argument in "$@"; do flags+=("--serve=$argument"); done; break ;;
      *) flags+=("$1"); shift ;;
    esac
  done
  work=$(mktemp -d "$base/dapple-$name-XXXXXX")
  [ -n "${KEEP:-}" ] || trap 'rm -rf "$work"' EXIT
  CGO_ENABLED=0 go build -o "$work/dapple" ./cmd/dapple
  go build -o "$work/capacity" ./test/capacity
  "$work/capacity" "$command" --binary "$work/dapple" --dir "$work/nodes" --json "$report" "${flags[@]}"
}
