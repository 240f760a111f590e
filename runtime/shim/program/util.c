#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/shim/program/shim.h"

static int status_fd = MOTH_SHIM_STATUS_FD;

u64 now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (u64)now.tv_sec * 1000000000u + (u64)now.tv_nsec;
}

void status_line(const char* format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (length > (int)sizeof line - 1) length = sizeof line - 1;
  if (status_fd >= 0 && write(status_fd, line, (size_t)length) < 0) status_close();
}

void status_failed(const char* stage, int number) {
  status_line("failed %s %d\n", stage, number);
}

void status_close(void) {
  if (status_fd >= 0) close(status_fd);
  status_fd = -1;
}

ssize_t read_small(const char* path, char* buffer, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n = read(fd, buffer, size - 1);
  close(fd);
  if (n >= 0) buffer[n] = 0;
  return n;
}

u64 start_time_of(pid_t pid) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  if (read_small(path, text, sizeof text) <= 0) return 0;
  // The command in brackets may hold anything; the fields count from behind it.
  char* at = strrchr(text, ')');
  if (!at) return 0;
  at++;
  for (int field = 2; field < 22 && at; field++) {
    at = strchr(at, ' ');
    if (at) at++;
    if (field == 21 && at) return strtoull(at, 0, 10);
  }
  return 0;
}

long read_number(const char* path) {
  char text[64];
  if (read_small(path, text, sizeof text) <= 0) return -1;
  char* end;
  long value = strtol(text, &end, 10);
  return end == text ? -1 : value;
}

int write_file(const char* path, const char* text, size_t length) {
  char temporary[256];
  if (snprintf(temporary, sizeof temporary, "%s.tmp", path) >= (int)sizeof temporary) return -1;
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return -1;
  int whole = write(fd, text, length) == (ssize_t)length;
  if (close(fd) != 0 || !whole) return -1;
  return rename(temporary, path);
}

int join_groups(const char* const* files, int count) {
  int first = 0;
  for (int i = 0; i < count; i++) {
    int fd = open(files[i], O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) first = first ? first : errno;
    if (fd >= 0) close(fd);
  }
  return first;
}

void set_oom_score_adj(const char* value) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  // Lowering needs CAP_SYS_RESOURCE; without it we stay as we are.
  ssize_t ignored = write(fd, value, strlen(value));
  (void)ignored;
  close(fd);
}

void close_on_exec(int fd) {
  fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void reset_signals(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < 65; number++) sigaction(number, &action, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, 0);
}

long number_option(const char* name, const char* text) {
  char* end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno != 0 || end == text || *end != 0) usage(name);
  return value;
}

void usage(const char* problem) {
  char text[512];
  int length =
      snprintf(text, sizeof text,
               "moth-shim: %s\n"
               "The shim is started by mothd, one for each container. Modes: --run, --exec, "
               "--pause, --version\n",
               problem);
  ssize_t ignored = write(2, text, (size_t)length);
  (void)ignored;
  _exit(2);
}

const char* next_argument(int argc, char** argv, int* i) {
  if (*i + 1 >= argc) usage(argv[*i]);
  return argv[++*i];
}

void join_list_add(struct join_list* list, const char* file) {
  if (list->count == MAX_JOIN) usage("too many groups");
  list->files[list->count++] = file;
}
