# leash.sh GRACE PATIENCE COMMAND...  Runs the command and asks it to stop (SIGTERM) when standard input has a line or ends.
# When it ends without a line, whoever held the leash died: the command gets GRACE seconds more. PATIENCE seconds after it
# was asked it is ended. The process group must be its own. See leash.ts.
grace=$1 patience=$2
shift 2
exec 3<&0 </dev/null
"$@" 3<&- &
child=$!
{
  read -r _ <&3 || sleep "$grace"
  kill -TERM "$child"
  sleep "$patience"
  kill -KILL "$child"
} >/dev/null 2>&1 &
exec 3<&-
wait "$child" 2>/dev/null
code=$?
# The watcher, its sleep, and whatever the command left behind.
trap '' TERM
kill -TERM 0
exit "$code"
