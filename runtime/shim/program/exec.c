// --exec: runs one command inside a running container and returns its exit code. It enters the
// container's groups and namespaces by the first process' pidfd, takes on the container's identity
// and replaces itself. The environment of the helper is the environment of the command.
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/shim/program/shim.h"

// Of <linux/...>, which a musl tool chain does not have.
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif
#define CAPABILITY_VERSION_3 0x20080522
#define SECCOMP_MODE_FILTER 2
#define MAX_FILTER_BYTES (4096 * 8)
#define LAST_CAPABILITY 63
#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#endif
#define AMBIENT_CLEAR_ALL 4

struct filter_program {
  unsigned short length;
  const void* instructions;
};

static struct {
  pid_t pid;
  u64 start_time;
  unsigned uid, gid;
  gid_t groups[256];
  int group_count;
  u64 capabilities;
  int no_new_privs, tty;
  const char *cwd, *seccomp, *oom_score_adj;
  struct join_list join;
  char** command;
} options = {.cwd = "/"};

static char filter[MAX_FILTER_BYTES];
static size_t filter_bytes;
static int join_fds[MAX_JOIN];
static struct rlimit limits[RLIM_NLIMITS];
static int limit_count;

static void parse_groups(const char* text) {
  while (*text) {
    char* end;
    unsigned long group = strtoul(text, &end, 10);
    if (end == text || options.group_count == (int)ARRAY_SIZE(options.groups)) usage("--groups");
    options.groups[options.group_count++] = (gid_t)group;
    text = *end == ',' ? end + 1 : end;
  }
}

static void parse(int argc, char** argv) {
  int i = 2;
  for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
    const char* name = argv[i];
    if (!strcmp(name, "--tty"))
      options.tty = 1;
    else if (!strcmp(name, "--no-new-privs"))
      options.no_new_privs = 1;
    else {
      const char* value = next_argument(argc, argv, &i);
      if (!strcmp(name, "--pid"))
        options.pid = (pid_t)number_option(name, value);
      else if (!strcmp(name, "--start-time"))
        options.start_time = strtoull(value, 0, 10);
      else if (!strcmp(name, "--uid"))
        options.uid = (unsigned)number_option(name, value);
      else if (!strcmp(name, "--gid"))
        options.gid = (unsigned)number_option(name, value);
      else if (!strcmp(name, "--groups"))
        parse_groups(value);
      else if (!strcmp(name, "--capabilities"))
        options.capabilities = strtoull(value, 0, 16);
      else if (!strcmp(name, "--cwd"))
        options.cwd = value;
      else if (!strcmp(name, "--seccomp"))
        options.seccomp = value;
      else if (!strcmp(name, "--oom-score-adj"))
        options.oom_score_adj = value;
      else if (!strcmp(name, "--join"))
        join_list_add(&options.join, value);
      else
        usage(name);
    }
  }
  if (options.pid <= 0 || i + 1 >= argc) usage("--pid and a command are needed");
  options.command = argv + i + 1;
}

static _Noreturn void give_up(const char* stage, int number, int code) {
  status_failed(stage, number);
  _exit(code);
}

static _Noreturn void failed(const char* stage) {
  give_up(stage, errno, MOTH_SHIM_EXEC_FAILED);
}

static void read_filter(void) {
  if (!options.seccomp) return;
  int fd = open(options.seccomp, O_RDONLY | O_CLOEXEC);
  if (fd < 0) failed("seccomp-file");
  ssize_t n = read(fd, filter, sizeof filter);
  if (n <= 0 || n % 8 != 0) give_up("seccomp-file", EINVAL, MOTH_SHIM_EXEC_FAILED);
  filter_bytes = (size_t)n;
  close(fd);
}

static void load_filter(void) {
  if (filter_bytes == 0) return;
  struct filter_program program = {(unsigned short)(filter_bytes / 8), filter};
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) failed("seccomp");
}

static int same_namespace(const char* name) {
  char ours[64], theirs[64];
  struct stat a, b;
  snprintf(ours, sizeof ours, "/proc/self/ns/%s", name);
  snprintf(theirs, sizeof theirs, "/proc/%d/ns/%s", (int)options.pid, name);
  return stat(ours, &a) == 0 && stat(theirs, &b) == 0 && a.st_ino == b.st_ino &&
         a.st_dev == b.st_dev;
}

static void enter(int pidfd) {
  static const struct {
    const char* name;
    int flag;
  } kinds[] = {{"user", 0x10000000},  {"mnt", 0x00020000}, {"pid", 0x20000000},
               {"net", 0x40000000},   {"ipc", 0x08000000}, {"uts", 0x04000000},
               {"cgroup", 0x02000000}};
  int flags = 0;
  for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
    if (!same_namespace(kinds[i].name)) flags |= kinds[i].flag;
  }
  if (flags != 0 && setns(pidfd, flags) != 0) failed("setns");
}

static const char* read_limit(const char* at, rlim_t* value) {
  while (*at == ' ') at++;
  char* end = (char*)at + strcspn(at, " \n");
  *value = *at == 'u' ? RLIM_INFINITY : strtoull(at, 0, 10);
  return end;
}

// The container's resource limits. Not by prlimit(2), which wants CAP_SYS_RESOURCE for the process
// of another user. The lines stand in the order of the numbers, below one of titles.
static void read_limits(void) {
  char path[64], text[4096];
  snprintf(path, sizeof path, "/proc/%d/limits", (int)options.pid);
  if (read_small(path, text, sizeof text) <= 0) failed("limits");
  const char* line = strchr(text, '\n');
  for (; line && strlen(line) > 27 && limit_count < RLIM_NLIMITS; line = strchr(line + 1, '\n')) {
    // The name is 26 characters wide.
    const char* soft = line + 27;
    read_limit(read_limit(soft, &limits[limit_count].rlim_cur), &limits[limit_count].rlim_max);
    limit_count++;
  }
}

// All that needs the machine's own file system and process numbers.
static int prepare(void) {
  int pidfd = (int)syscall(SYS_pidfd_open, options.pid, 0);
  if (pidfd < 0) failed("pidfd");
  close_on_exec(pidfd);
  if (options.start_time != 0 && start_time_of(options.pid) != options.start_time) {
    give_up("pidfd", ESRCH, MOTH_SHIM_EXEC_FAILED);
  }
  read_limits();
  // The number may have been given away meanwhile: what was read counts only if it is still alive.
  struct pollfd poller = {.fd = pidfd, .events = POLLIN};
  if (poll(&poller, 1, 0) != 0) give_up("pidfd", ESRCH, MOTH_SHIM_EXEC_FAILED);
  read_filter();
  if (options.oom_score_adj) set_oom_score_adj(options.oom_score_adj);
  int joined = options.join.count == 0;
  for (int i = 0; i < options.join.count; i++) {
    join_fds[i] = open(options.join.files[i], O_WRONLY | O_CLOEXEC);
    // The OCI runtime need not have made the group in every hierarchy, but somewhere it did.
    if (join_fds[i] < 0 && errno != ENOENT) failed("join-group");
    joined |= join_fds[i] >= 0;
  }
  if (!joined) give_up("join-group", ENOENT, MOTH_SHIM_EXEC_FAILED);
  return pidfd;
}

static void send_terminal(int master) {
  char byte = 't', control[CMSG_SPACE(sizeof(int))];
  struct iovec part = {&byte, 1};
  struct msghdr message;
  memset(&message, 0, sizeof message);
  memset(control, 0, sizeof control);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &master, sizeof master);
  if (sendmsg(MOTH_SHIM_CONSOLE_FD, &message, MSG_NOSIGNAL) != 1) failed("console");
}

static void take_terminal(void) {
  // The container's own devpts, so that ttyname() works inside.
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  int unlock = 0;
  if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) != 0) failed("terminal");
  int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) failed("terminal");
  // Its group stays tty, as the mount option of devpts says; a failure is no harm to root.
  if (fchown(slave, options.uid, (gid_t)-1) != 0 && options.uid != 0) failed("terminal");
  send_terminal(master);
  close(master);
  for (int i = 0; i < 3; i++) dup2(slave, i);
  close(slave);
  if (ioctl(0, TIOCSCTTY, 0) != 0) failed("terminal");
}

static void become_user(void) {
  for (int number = 0; number <= LAST_CAPABILITY; number++) {
    if (options.capabilities >> number & 1) continue;
    // EINVAL: this kernel has no such capability, nor any above.
    if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0 && errno != EINVAL) failed("capabilities");
  }
  prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
  if (setgroups((size_t)options.group_count, options.groups) != 0) failed("setgroups");
  if (setresgid(options.gid, options.gid, options.gid) != 0) failed("setgid");
  if (setresuid(options.uid, options.uid, options.uid) != 0) failed("setuid");
  prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
  struct {
    uint32_t version;
    int pid;
  } header = {CAPABILITY_VERSION_3, 0};
  struct {
    uint32_t effective, permitted, inheritable;
  } sets[2];
  for (int i = 0; i < 2; i++) {
    sets[i].effective = sets[i].permitted = (uint32_t)(options.capabilities >> (32 * i));
    sets[i].inheritable = 0;
  }
  if (syscall(SYS_capset, &header, sets) != 0) failed("capabilities");
  prctl(PR_CAP_AMBIENT, AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static _Noreturn void execute(void) {
  extern char** environ;
  const char* program = options.command[0];
  int problem = ENOENT;
  if (strchr(program, '/')) {
    execve(program, options.command, environ);
    problem = errno;
  } else {
    const char* path = getenv("PATH");
    if (!path || !*path) path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char candidate[4096];
    while (*path) {
      size_t length = strcspn(path, ":");
      int written = snprintf(candidate, sizeof candidate, "%.*s/%s", (int)length, path, program);
      if (length > 0 && written < (int)sizeof candidate) {
        execve(candidate, options.command, environ);
        // What was found but may not run is worth more than what was not found later.
        if (errno != ENOENT && errno != ENOTDIR) problem = errno;
      }
      path += length + (path[length] == ':');
    }
  }
  give_up("exec", problem,
          problem == ENOENT ? MOTH_SHIM_EXEC_NOT_FOUND : MOTH_SHIM_EXEC_NOT_EXECUTABLE);
}

static _Noreturn void child(void) {
  for (int i = 0; i < options.join.count; i++) {
    if (join_fds[i] < 0) continue;
    if (write(join_fds[i], "0", 1) != 1) failed("join-group");
    close(join_fds[i]);
  }
  setsid();
  if (options.tty) take_terminal();
  umask(022);
  int entered = chdir(options.cwd);
  if (entered != 0 && errno != EACCES) failed("cwd");
  for (int i = 0; i < limit_count; i++) setrlimit(i, &limits[i]);
  // Loading a filter needs CAP_SYS_ADMIN or no_new_privs: with the first, it is done while we have
  // it.
  if (!options.no_new_privs) load_filter();
  become_user();
  if (entered != 0 && chdir(options.cwd) != 0) failed("cwd");
  // After the change of user, which forgets it.
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  reset_signals();
  if (options.no_new_privs) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) failed("no-new-privs");
    load_filter();
  }
  execute();
}

static volatile pid_t command_pid;

// The helper reaps what it kills: a dead command left to the machine's init would hold up the end
// of the container's process namespace until that init looks.
static void kill_command(int number) {
  (void)number;
  if (command_pid > 0) kill(command_pid, SIGKILL);
}

int exec_main(int argc, char** argv) {
  parse(argc, argv);
  close_on_exec(MOTH_SHIM_STATUS_FD);
  if (options.tty) close_on_exec(MOTH_SHIM_CONSOLE_FD);
  int pidfd = prepare();
  enter(pidfd);
  close(pidfd);
  // A process namespace holds for children alone.
  sigset_t terminate;
  sigemptyset(&terminate);
  sigaddset(&terminate, SIGTERM);
  sigprocmask(SIG_BLOCK, &terminate, 0);
  pid_t pid = fork();
  if (pid < 0) failed("fork");
  if (pid == 0) child();
  command_pid = pid;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = kill_command;
  sigaction(SIGTERM, &action, 0);
  sigprocmask(SIG_UNBLOCK, &terminate, 0);
  status_close();
  if (options.tty) close(MOTH_SHIM_CONSOLE_FD);
  // The command alone holds the streams, so that their end is its end.
  for (int fd = 0; fd < 3; fd++) close(fd);
  int status;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return MOTH_SHIM_EXEC_FAILED;
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
