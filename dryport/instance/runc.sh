#!/bin/sh
# Goes before runc(8) in an instance. A privileged container asks for every device there is, which version 1 of cgroups
# refuses in a group that has fewer, and for every capability: it gets all that the instance has.
# capabilities(7), in the order of their numbers.
names="CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
list=/sys/fs/cgroup/devices/devices.list
case " $* " in
*" create "*)
  previous= bundle=
  for argument; do
    [ "$previous" = --bundle ] && bundle=$argument
    previous=$argument
  done
  every='"devices":[{"allow":true,"access":"rwm"}]'
  if [ -r "$list" ] && [ -n "$bundle" ] && grep -qF "$every" "$bundle/config.json"; then
    rules='{"allow":false,"access":"rwm"}'
    while read -r kind numbers access; do
      case $numbers in *'*'*) continue ;; esac # those that runc allows by itself
      rules="$rules,{\"allow\":true,\"type\":\"$kind\",\"major\":${numbers%:*},\"minor\":${numbers#*:},\"access\":\"$access\"}"
    done <"$list"
    sed -i "s/\"devices\":\\[{\"allow\":true,\"access\":\"rwm\"}\\]/\"devices\":[$rules]/" "$bundle/config.json"
    while read -r field value; do
      [ "$field" = CapBnd: ] && bits=$((0x$value))
    done </proc/self/status
    number=0 edits=
    for name in $names; do
      [ $((bits >> number & 1)) = 1 ] || edits="$edits;s/\"CAP_$name\",//g;s/,\"CAP_$name\"//g"
      number=$((number + 1))
    done
    sed -i "$edits" "$bundle/config.json"
  fi
  ;;
esac
for program in /usr/sbin/runc /usr/bin/runc; do
  [ -x "$program" ] && exec "$program" "$@"
done
echo "runc is not installed" >&2
exit 127
