// --run: starts one container through the OCI runtime and stays with it until it ended.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/shim/program/shim.h"

// A partial line is logged after this long without its newline.
#define PARTIAL_MS 200
// Output that processes which outlived the container's first one may still write.
#define DRAIN_MS 2000

static struct {
  const char *id, *bundle, *runtime, *runtime_root, *log, *oom_file, *oom_score_adj;
  u64 log_max_bytes;
  int log_max_files, tty, with_stdin, stdin_once;
  struct join_list join;
} options = {.runtime = "runc", .log_max_files = 5, .oom_score_adj = "-999"};

static int epoll_fd = -1, signal_fd = -1, console_fd = -1;
static int output_fds[STREAM_COUNT] = {-1, -1};  // with a terminal: its master, in the first place
static int stdin_fd = -1;                        // with a terminal: the same master
static int child_ends[3] = {-1, -1, -1};         // what the runtime gets as 0, 1, 2
static char stdin_pending[MOTH_SHIM_MAX_FRAME];
static size_t stdin_start, stdin_end;
static int stdin_watched, stdin_close_asked;

static pid_t runtime_pid, init_pid;
static u64 started_ns;
static int ended;

void watch_fd(int fd, enum event event, int index, uint32_t events) {
  struct epoll_event wanted;
  memset(&wanted, 0, sizeof wanted);
  wanted.events = events;
  wanted.data.u64 = (uint64_t)event << 32 | (uint32_t)index;
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &wanted);
}

void unwatch_fd(int fd) {
  epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, 0);
}

int stdin_is_once(void) {
  return options.stdin_once;
}

void terminal_resize(unsigned columns, unsigned rows) {
  if (!options.tty || stdin_fd < 0) return;
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  ioctl(stdin_fd, TIOCSWINSZ, &size);
}

void stdin_close(void) {
  // A terminal has one end for both directions: its input cannot end by itself.
  if (options.tty || stdin_fd < 0) return;
  if (stdin_start < stdin_end) {
    stdin_close_asked = 1;
    return;
  }
  if (stdin_watched) unwatch_fd(stdin_fd);
  close(stdin_fd);
  stdin_fd = -1;
}

static void stdin_watch(int watch) {
  // The terminal's master is registered for reading already: a duplicate carries the writing side.
  static int twin = -1;
  if (options.tty) {
    if (watch) {
      twin = fcntl(stdin_fd, F_DUPFD_CLOEXEC, 3);
      watch_fd(twin, EVENT_STDIN, 0, EPOLLOUT);
    } else {
      unwatch_fd(twin);
      close(twin);
    }
  } else if (watch) {
    watch_fd(stdin_fd, EVENT_STDIN, 0, EPOLLOUT);
  } else {
    unwatch_fd(stdin_fd);
  }
  stdin_watched = watch;
}

static void stdin_gone(void) {
  stdin_start = stdin_end = 0;
  if (stdin_watched) stdin_watch(0);
  if (!options.tty) {
    close(stdin_fd);
    stdin_fd = -1;
  }
}

int stdin_write(const char* data, size_t length) {
  if (!options.with_stdin || stdin_fd < 0) return 1;
  ssize_t n = write(stdin_fd, data, length);
  if (n < 0 && errno != EAGAIN && errno != EINTR) {
    stdin_gone();
    return 1;
  }
  if (n < 0) n = 0;
  if ((size_t)n == length) return 1;
  memcpy(stdin_pending, data + n, length - (size_t)n);
  stdin_start = 0;
  stdin_end = length - (size_t)n;
  stdin_watch(1);
  return 0;
}

static void stdin_writable(void) {
  ssize_t n = write(stdin_fd, stdin_pending + stdin_start, stdin_end - stdin_start);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) {
    stdin_gone();
  } else {
    stdin_start += (size_t)n;
    if (stdin_start < stdin_end) return;
    stdin_start = stdin_end = 0;
    stdin_watch(0);
    if (stdin_close_asked) stdin_close();
  }
  clients_resume();
}

// 1: there may be more; 0: nothing for now; -1: the end.
static int pump(enum stream stream) {
  int fd = output_fds[stream];
  const char* data;
  ssize_t n = log_read(stream, fd, &data);
  if (n > 0) {
    clients_output(stream, data, (size_t)n);
    log_consume(stream, (size_t)n);
    return 1;
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  // The end, also EIO: nobody has the terminal open any more.
  log_flush(stream);
  unwatch_fd(fd);
  close(fd);
  output_fds[stream] = -1;
  if (options.tty) {
    if (stdin_watched) stdin_watch(0);
    stdin_fd = -1;
  }
  return -1;
}

static void parse(int argc, char** argv) {
  for (int i = 2; i < argc; i++) {
    const char* name = argv[i];
    if (!strcmp(name, "--tty"))
      options.tty = 1;
    else if (!strcmp(name, "--stdin"))
      options.with_stdin = 1;
    else if (!strcmp(name, "--stdin-once"))
      options.with_stdin = options.stdin_once = 1;
    else {
      const char* value = next_argument(argc, argv, &i);
      if (!strcmp(name, "--id"))
        options.id = value;
      else if (!strcmp(name, "--bundle"))
        options.bundle = value;
      else if (!strcmp(name, "--runtime"))
        options.runtime = value;
      else if (!strcmp(name, "--runtime-root"))
        options.runtime_root = value;
      else if (!strcmp(name, "--log"))
        options.log = value;
      else if (!strcmp(name, "--log-max-bytes"))
        options.log_max_bytes = (u64)number_option(name, value);
      else if (!strcmp(name, "--log-max-files"))
        options.log_max_files = (int)number_option(name, value);
      else if (!strcmp(name, "--oom-file"))
        options.oom_file = value;
      else if (!strcmp(name, "--oom-score-adj"))
        options.oom_score_adj = value;
      else if (!strcmp(name, "--join"))
        join_list_add(&options.join, value);
      else
        usage(name);
    }
  }
  if (!options.id || !options.bundle || !options.log) usage("--id, --bundle and --log are needed");
}

// Leaves the caller: a process of its own session, no child of mothd.
static void daemonize(void) {
  pid_t pid = fork();
  if (pid < 0) {
    status_failed("fork", errno);
    _exit(1);
  }
  if (pid > 0) _exit(0);
  setsid();
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  set_oom_score_adj(options.oom_score_adj);
  int problem = join_groups(options.join.files, options.join.count);
  if (problem != 0) {
    status_failed("join-group", problem);
    _exit(1);
  }
  status_line("shim %d %llu\n", (int)getpid(), start_time_of(getpid()));
}

static int listen_console(void) {
  struct sockaddr_un address;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  strcpy(address.sun_path, MOTH_SHIM_CONSOLE);
  unlink(MOTH_SHIM_CONSOLE);
  console_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (console_fd < 0 || bind(console_fd, (struct sockaddr*)&address, sizeof address) != 0 ||
      listen(console_fd, 1) != 0) {
    return errno;
  }
  watch_fd(console_fd, EVENT_CONSOLE, 0, EPOLLIN);
  return 0;
}

static int make_pipes(void) {
  int pair[2];
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  child_ends[0] = child_ends[1] = child_ends[2] = null;
  if (options.tty) return null < 0 ? errno : listen_console();
  for (int i = 0; i < STREAM_COUNT; i++) {
    if (pipe2(pair, O_CLOEXEC) != 0) return errno;
    output_fds[i] = pair[0];
    child_ends[1 + i] = pair[1];
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    watch_fd(pair[0], i == STREAM_STDOUT ? EVENT_STDOUT : EVENT_STDERR, 0, EPOLLIN);
  }
  if (options.with_stdin) {
    if (pipe2(pair, O_CLOEXEC) != 0) return errno;
    child_ends[0] = pair[0];
    stdin_fd = pair[1];
    fcntl(stdin_fd, F_SETFL, O_NONBLOCK);
  }
  return 0;
}

static void take_signals(void) {
  sigset_t all;
  sigfillset(&all);
  // A signal meant for the whole service must not take the shim away from its container. What
  // the processor raises stays deadly.
  sigdelset(&all, SIGSEGV);
  sigdelset(&all, SIGBUS);
  sigdelset(&all, SIGILL);
  sigdelset(&all, SIGFPE);
  sigdelset(&all, SIGABRT);
  sigprocmask(SIG_SETMASK, &all, 0);
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  signal_fd = signalfd(-1, &children, SFD_NONBLOCK | SFD_CLOEXEC);
  watch_fd(signal_fd, EVENT_SIGNAL, 0, EPOLLIN);
}

static void spawn_runtime(void) {
  const char* argv[24];
  int n = 0;
  argv[n++] = options.runtime;
  if (options.runtime_root) {
    argv[n++] = "--root";
    argv[n++] = options.runtime_root;
  }
  argv[n++] = "--log";
  argv[n++] = MOTH_SHIM_RUNTIME_LOG;
  argv[n++] = "--log-format";
  argv[n++] = "json";
  argv[n++] = "run";
  argv[n++] = "--detach";
  argv[n++] = "--bundle";
  argv[n++] = ".";
  argv[n++] = "--pid-file";
  argv[n++] = MOTH_SHIM_INIT_PID;
  if (options.tty) {
    argv[n++] = "--console-socket";
    argv[n++] = MOTH_SHIM_CONSOLE;
  }
  argv[n++] = options.id;
  argv[n] = 0;
  runtime_pid = fork();
  if (runtime_pid != 0) return;
  reset_signals();
  for (int i = 0; i < 3; i++) dup2(child_ends[i], i);
  execv(options.runtime, (char* const*)argv);
  status_failed("runtime-exec", errno);
  _exit(127);
}

static void console_connected(void) {
  int peer = accept4(console_fd, 0, 0, SOCK_CLOEXEC);
  if (peer < 0) return;
  char name[256], control[CMSG_SPACE(sizeof(int))];
  struct iovec part = {name, sizeof name};
  struct msghdr message;
  memset(&message, 0, sizeof message);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = recvmsg(peer, &message, MSG_CMSG_CLOEXEC);
  close(peer);
  struct cmsghdr* header = n >= 0 ? CMSG_FIRSTHDR(&message) : 0;
  if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return;
  int master;
  memcpy(&master, CMSG_DATA(header), sizeof master);
  fcntl(master, F_SETFL, O_NONBLOCK);
  output_fds[STREAM_STDOUT] = stdin_fd = master;
  watch_fd(master, EVENT_STDOUT, 0, EPOLLIN);
  unwatch_fd(console_fd);
  close(console_fd);
  console_fd = -1;
  unlink(MOTH_SHIM_CONSOLE);
}

static void runtime_ended(int status) {
  for (int i = 0; i < 3; i++) {
    if (child_ends[i] > 2) close(child_ends[i]);
    for (int j = i + 1; j < 3; j++) {
      if (child_ends[j] == child_ends[i]) child_ends[j] = -1;
    }
  }
  runtime_pid = 0;
  long pid = read_number(MOTH_SHIM_INIT_PID);
  if (status != 0 || pid <= 0) {
    // 127 after runtime-exec was told by the child already; a second line does no harm.
    status_failed("runtime", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    clients_close_all();
    _exit(1);
  }
  if (options.tty && output_fds[STREAM_STDOUT] < 0 && console_fd >= 0) console_connected();
  init_pid = (pid_t)pid;
  started_ns = now_ns();
  u64 init_start = start_time_of(init_pid);
  char line[160];
  int length = snprintf(line, sizeof line, MOTH_SHIM_STATE_FORMAT, (int)getpid(),
                        start_time_of(getpid()), (int)init_pid, init_start, started_ns);
  write_file(MOTH_SHIM_STATE, line, (size_t)length);
  status_line("started %d %llu %llu\n", (int)init_pid, init_start, started_ns);
  status_close();
}

static u64 oom_kills(void) {
  char text[8192];
  if (!options.oom_file || read_small(options.oom_file, text, sizeof text) <= 0) return 0;
  for (char* line = text; line; line = strchr(line, '\n')) {
    if (*line == '\n') line++;
    if (!strncmp(line, "oom_kill ", 9)) return strtoull(line + 9, 0, 10);
  }
  return 0;
}

static void container_ended(int status) {
  u64 finished = now_ns();
  int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  int code = signal ? 128 + signal : WEXITSTATUS(status);
  u64 kills = oom_kills();
  ended = 1;
  // What the container wrote is in the log before anybody learns that it ended.
  for (int i = 0; i < STREAM_COUNT; i++) {
    // Bounded: a process that outlived it may write without end.
    for (int turns = 0; output_fds[i] >= 0 && turns < 4096 && pump((enum stream)i) > 0; turns++) {
    }
    log_flush((enum stream)i);
  }
  char json[320];
  int length =
      snprintf(json, sizeof json,
               "{\"version\":1,\"pid\":%d,\"exitCode\":%d,\"signal\":%d,\"startedAt\":%llu,"
               "\"finishedAt\":%llu,\"oomKills\":%llu}\n",
               (int)init_pid, code, signal, started_ns, finished, kills);
  write_file(MOTH_SHIM_EXIT, json, (size_t)length);
  clients_exited(json, (size_t)length);
}

static void reap(void) {
  struct signalfd_siginfo info;
  while (read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
  }
  int status;
  // Until the runtime ended it is the container's parent, and we do not know the container's pid.
  if (runtime_pid > 0) {
    if (waitpid(runtime_pid, &status, WNOHANG) != runtime_pid) return;
    runtime_ended(status);
  }
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid == init_pid && !ended) container_ended(status);
  }
}

static void handle(const struct epoll_event* event) {
  int index = (int)(uint32_t)event->data.u64;
  switch ((enum event)(event->data.u64 >> 32)) {
    case EVENT_SIGNAL:
      reap();
      break;
    case EVENT_STDOUT:
      if (output_fds[STREAM_STDOUT] >= 0) pump(STREAM_STDOUT);
      break;
    case EVENT_STDERR:
      if (output_fds[STREAM_STDERR] >= 0) pump(STREAM_STDERR);
      break;
    case EVENT_CONSOLE:
      if (console_fd >= 0) console_connected();
      break;
    case EVENT_LISTEN:
      clients_accept();
      break;
    case EVENT_CLIENT:
      clients_readable(index);
      break;
    case EVENT_STDIN:
      if (stdin_watched) stdin_writable();
      break;
  }
}

static int streams_open(void) {
  return output_fds[0] >= 0 || output_fds[1] >= 0;
}

static void loop(void) {
  u64 drain_until = 0;
  while (1) {
    int timeout = log_has_partial() ? PARTIAL_MS : -1;
    if (ended) {
      u64 now = now_ns();
      if (drain_until == 0) drain_until = now + (u64)DRAIN_MS * 1000000u;
      if (!streams_open() || now >= drain_until) return;
      timeout = (int)((drain_until - now) / 1000000u) + 1;
    }
    struct epoll_event events[16];
    int n = epoll_wait(epoll_fd, events, ARRAY_SIZE(events), timeout);
    if (n == 0 && !ended) {
      log_flush(STREAM_STDOUT);
      log_flush(STREAM_STDERR);
    }
    for (int i = 0; i < n; i++) handle(&events[i]);
  }
}

int supervise_main(int argc, char** argv) {
  parse(argc, argv);
  close_on_exec(MOTH_SHIM_STATUS_FD);
  if (chdir(options.bundle) != 0) {
    status_failed("bundle", errno);
    return 1;
  }
  static const char* const old_files[] = {MOTH_SHIM_INIT_PID, MOTH_SHIM_RUNTIME_LOG,
                                          MOTH_SHIM_STATE, MOTH_SHIM_EXIT};
  for (size_t i = 0; i < ARRAY_SIZE(old_files); i++) unlink(old_files[i]);
  daemonize();
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  take_signals();
  int problem = log_open(options.log, options.log_max_bytes, options.log_max_files);
  const char* stage = "log";
  if (problem == 0) {
    problem = clients_listen(MOTH_SHIM_ATTACH);
    stage = "attach-socket";
  }
  if (problem == 0) {
    problem = make_pipes();
    stage = "pipes";
  }
  if (problem != 0) {
    status_failed(stage, problem);
    return 1;
  }
  spawn_runtime();
  if (runtime_pid < 0) {
    status_failed("fork", errno);
    return 1;
  }
  loop();
  clients_close_all();
  return 0;
}
