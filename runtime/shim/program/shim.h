#pragma once
// Inside of moth-shim. Rules: no heap, no threads, static buffers, every descriptor close-on-exec.
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "runtime/shim/protocol.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

// ---- util.c
typedef unsigned long long u64;

u64 now_ns(void);  // since 1970
// Writes all of it to the status pipe; a reader that left is no matter.
void status_line(const char* format, ...) __attribute__((format(printf, 1, 2)));
void status_failed(const char* stage, int number);
void status_close(void);
// Clock ticks after boot of a process; 0 when it is gone.
u64 start_time_of(pid_t pid);
// The beginning of a file that fits, with a 0 behind it. Its length; -1 on failure.
ssize_t read_small(const char* path, char* buffer, size_t size);
// The number that a small text file holds; -1 on failure.
long read_number(const char* path);
// Temporary beside `path`, then rename. 0 or -1.
int write_file(const char* path, const char* text, size_t length);
// Writes "0" to each file: the caller's cgroup. The first errno, or 0.
int join_groups(const char* const* files, int count);
void set_oom_score_adj(const char* value);
void close_on_exec(int fd);
void reset_signals(void);
// Value of an option with a number; ends the program when it is none.
long number_option(const char* name, const char* text);
_Noreturn void usage(const char* problem);
// The argument after argv[*i], which is an option that needs one.
const char* next_argument(int argc, char** argv, int* i);

#define MAX_JOIN 24
struct join_list {
  const char* files[MAX_JOIN];
  int count;
};
void join_list_add(struct join_list* list, const char* file);

// ---- log.c
enum stream { STREAM_STDOUT, STREAM_STDERR, STREAM_COUNT };
#define LINE_BYTES (16 * 1024)

int log_open(const char* path, u64 max_bytes, int max_files);  // 0 or errno
void log_reopen(void);
// Reads once from `fd` into the stream's line buffer. *data: what was read, valid until
// log_consume(). Result of read(2): 0 at the end, -1 with errno.
ssize_t log_read(enum stream stream, int fd, const char** data);
// Logs the `fresh` bytes that log_read() got, as far as they are whole lines.
void log_consume(enum stream stream, size_t fresh);
// Ends a line that waits for its newline as a partial record.
void log_flush(enum stream stream);
int log_has_partial(void);

// ---- clients.c
#define MAX_CLIENTS 16
int clients_listen(const char* path);  // 0 or errno
void clients_accept(void);
void clients_readable(int index);
// To every attached client that has room.
void clients_output(enum stream stream, const char* data, size_t length);
void clients_exited(const char* json, size_t length);
// The input went through: clients are read again.
void clients_resume(void);
void clients_close_all(void);

// ---- supervise.c
// Events of the one epoll: kind in the high half, index in the low one.
enum event {
  EVENT_SIGNAL,
  EVENT_STDOUT,
  EVENT_STDERR,
  EVENT_CONSOLE,
  EVENT_LISTEN,
  EVENT_CLIENT,
  EVENT_STDIN
};
void watch_fd(int fd, enum event event, int index, uint32_t events);
void unwatch_fd(int fd);
// Input for the container. 1: taken; 0: it has to wait, clients are not read until it went through.
int stdin_write(const char* data, size_t length);
void stdin_close(void);
void terminal_resize(unsigned columns, unsigned rows);
int stdin_is_once(void);

int supervise_main(int argc, char** argv);
// ---- pause.c, exec.c
int pause_main(int argc, char** argv);
int exec_main(int argc, char** argv);
