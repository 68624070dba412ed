# Waits for the owner's end, then ends its servers. $1: the data folder. $2: keep (stop the servers cleanly) or
# temporary (kill them and remove the folder). Started with the read end of a pipe as standard input: when the owner
# ends, however it ends, the kernel closes the other end.
trap '' HUP INT QUIT TERM
while read -r _; do :; done

: >"$1/ended"

# A pid counts only while its process works inside the server's folder: the number may long be another's.
find_server() {
    pid=$(cat "$1/pid" 2>/dev/null) || return 1
    case $(readlink "/proc/$pid/cwd") in "$1" | "$1"/*) ;; *) return 1 ;; esac
}
send() { find_server "$2" && kill -s "$1" "$pid"; }
send_all() {
    signal=$1
    shift
    for folder; do send "$signal" "$folder"; done
}
any_runs() {
    for folder; do find_server "$folder" && return; done
    return 1
}

send_all KILL "$1"/companions/*
if [ "$2" = keep ]; then
    send INT "$1/postgres"
    send_all TERM "$1"/rabbitmq* "$1/redis"
else
    send QUIT "$1/postgres"
    send_all KILL "$1"/rabbitmq* "$1/redis"
fi
# 20 s at most: a server stops in about one.
tries=200
while [ "$tries" -gt 0 ]; do
    any_runs "$1/postgres" "$1"/rabbitmq* "$1/redis" || break
    tries=$((tries - 1))
    sleep 0.1
done
send_all KILL "$1/postgres" "$1"/rabbitmq* "$1/redis"
# Last: the broker would start another port mapper in its place.
send KILL "$1/epmd"

if [ "$2" = temporary ]; then
    # Again while a dying process still writes into it.
    tries=50
    while ! rm -rf "$1" && [ "$tries" -gt 0 ]; do
        tries=$((tries - 1))
        sleep 0.1
    done
fi
