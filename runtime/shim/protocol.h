#pragma once
// What moth-shim (a static C program) and the daemon say to each other. Plain C, so that both sides
// include it; nothing else is shared.
//
// FILES of a container, all inside its bundle folder, written by the shim unless said otherwise:
//   config.json    the OCI bundle (daemon)
//   init.pid       pid of the container's first process (OCI runtime)
//   runtime.log    the runtime's own messages, one JSON object a line (OCI runtime)
//   shim.state     one line of text once the container runs: MOTH_SHIM_STATE_FORMAT
//   exit.json      once it ended, appearing whole by rename:
//                  {"version":1,"pid":N,"exitCode":N,"signal":N,"startedAt":NS,"finishedAt":NS,
//                   "oomKills":N}; exitCode is 128 + signal for a signal; times in ns since 1970
//   attach.sock    SOCK_SEQPACKET, while the shim lives
//   console.sock   for a moment, when the container has a terminal
//
// LOG: lines of the container runtime interface, "<RFC3339 with nanoseconds> stdout|stderr F|P
// text". P: the line goes on in the next record of the stream (16 KiB are full, or nothing came for
// a fifth of a second). Rotation: LOG becomes LOG.1, LOG.1 becomes LOG.2, ...; LOG.1 is the newest.
//
// STATUS PIPE (descriptor 3 of the shim), lines of text:
//   shim <pid> <start time>                       the shim runs by itself now
//   started <pid> <start time> <ns since 1970>    the container runs
//   failed <stage> <number>                       the end; "failed runtime 1": see runtime.log, the
//                                                 number is the runtime's exit status; other stages
//                                                 name a call and the number is an errno
// Start times are clock ticks after boot, field 22 of /proc/PID/stat.
//
// ATTACH SOCKET: one frame a packet, its first byte is the type. A client says first what it wants
// (HELLO); output is sent from then on. The shim never waits for a client: what does not fit into
// its socket is lost to it. The shim closes the connection when there is nothing more to come.

#define MOTH_SHIM_CONFIG "config.json"
#define MOTH_SHIM_INIT_PID "init.pid"
#define MOTH_SHIM_RUNTIME_LOG "runtime.log"
#define MOTH_SHIM_STATE "shim.state"
#define MOTH_SHIM_EXIT "exit.json"
#define MOTH_SHIM_ATTACH "attach.sock"
#define MOTH_SHIM_CONSOLE "console.sock"

// version, shim pid, shim start time, container pid, container start time, started at (ns).
#define MOTH_SHIM_STATE_FORMAT "1 %d %llu %d %llu %llu\n"

#define MOTH_SHIM_STATUS_FD 3
// --exec with --tty: a unix socket over which the helper sends the terminal's master end.
#define MOTH_SHIM_CONSOLE_FD 4

// The biggest frame, with its type byte.
#define MOTH_SHIM_MAX_FRAME (16 * 1024 + 1)

enum moth_shim_frame {
  // From the client.
  MOTH_SHIM_HELLO = 'h',        // one byte: 'a' attach, 'w' only wait for the exit
  MOTH_SHIM_STDIN = 'i',        // bytes for the container
  MOTH_SHIM_STDIN_CLOSE = 'c',  // no more input from anybody
  MOTH_SHIM_RESIZE = 'r',       // columns, rows: two bytes each, the high one first
  MOTH_SHIM_REOPEN = 'l',       // open the log file anew (somebody moved it)
  // From the shim.
  MOTH_SHIM_STDOUT = 'o',
  MOTH_SHIM_STDERR = 'e',
  MOTH_SHIM_EXITED = 'x',  // the content of exit.json, which is written by now
};

// Exit codes of --exec when the command did not run; the status pipe says "failed <stage> <errno>".
#define MOTH_SHIM_EXEC_FAILED 125
#define MOTH_SHIM_EXEC_NOT_EXECUTABLE 126
#define MOTH_SHIM_EXEC_NOT_FOUND 127
