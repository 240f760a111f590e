// --pause: the first process of a process namespace that the containers of a pod share. It reaps
// what they leave and does nothing else. The containers can look at it (/proc/1), so it owns
// nothing: no privileges, an empty read-only root, no descriptors.
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/shim/program/shim.h"

#define NOBODY 65535

static struct {
  const char *record, *oom_score_adj;
  const char* namespaces[3];
  int namespace_count;
  struct join_list join;
} options = {.oom_score_adj = "-998"};

static void parse(int argc, char** argv) {
  for (int i = 2; i < argc; i++) {
    const char* name = argv[i];
    const char* value = next_argument(argc, argv, &i);
    if (!strcmp(name, "--record"))
      options.record = value;
    else if (!strcmp(name, "--oom-score-adj"))
      options.oom_score_adj = value;
    else if (!strcmp(name, "--join"))
      join_list_add(&options.join, value);
    else if (!strcmp(name, "--namespace") && options.namespace_count < 3)
      options.namespaces[options.namespace_count++] = value;
    else
      usage(name);
  }
  if (!options.record) usage("--record is needed");
}

// An empty file system as root, whatever the machine's own root is.
static int empty_root(void) {
  if (unshare(CLONE_NEWNS) != 0) return -1;
  if (mount(0, "/", 0, MS_REC | MS_PRIVATE, 0) != 0) return -1;
  if (mount("pause", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
            "size=4k,nr_inodes=4,mode=555") != 0 ||
      chdir("/proc") != 0) {
    return -1;
  }
  if (syscall(SYS_pivot_root, ".", ".") == 0) {
    if (umount2(".", MNT_DETACH) != 0) return -1;
  } else if (mount(".", "/", 0, MS_MOVE, 0) != 0 || chroot(".") != 0) {
    // An initial ram file system cannot be pivoted away.
    return -1;
  }
  if (chdir("/") != 0) return -1;
  return mount(0, "/", 0, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, 0);
}

static int drop_privileges(void) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  if (setgroups(0, 0) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0) return -1;
  return setresuid(NOBODY, NOBODY, NOBODY);
}

// What ps in a container shows.
static void rename_to_pause(int argc, char** argv) {
  char* end = argv[argc - 1] + strlen(argv[argc - 1]);
  size_t length = (size_t)(end - argv[0]);
  memset(argv[0], 0, length);
  strncpy(argv[0], "/pause", length);
  prctl(PR_SET_NAME, "pause", 0, 0, 0);
}

static _Noreturn void be_init(int argc, char** argv, int ready) {
  setsid();
  int problem = 0;
  if (empty_root() != 0 || drop_privileges() != 0) problem = errno;
  ssize_t told = write(ready, &problem, sizeof problem);
  if (problem != 0 || told < 0) _exit(1);
  rename_to_pause(argc, argv);
  for (int fd = 0; fd < 64; fd++) close(fd);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_SETMASK, &set, 0);
  while (1) {
    siginfo_t info;
    int number = sigwaitinfo(&set, &info);
    while (waitpid(-1, 0, WNOHANG) > 0) {
    }
    // From outside of the namespace alone (its senders have no number in here): a container must
    // not end its neighbours.
    if ((number == SIGTERM || number == SIGINT) && info.si_pid == 0) _exit(0);
  }
}

static int enter_namespaces(void) {
  for (int i = 0; i < options.namespace_count; i++) {
    int fd = open(options.namespaces[i], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, 0) != 0) return errno;
    close(fd);
  }
  return 0;
}

static int fail_with(const char* stage, int number) {
  status_failed(stage, number);
  return 1;
}

int pause_main(int argc, char** argv) {
  parse(argc, argv);
  close_on_exec(MOTH_SHIM_STATUS_FD);
  pid_t pid = fork();
  if (pid < 0) return fail_with("fork", errno);
  if (pid > 0) return 0;
  setsid();
  set_oom_score_adj(options.oom_score_adj);
  int problem = join_groups(options.join.files, options.join.count);
  if (problem != 0) return fail_with("join-group", problem);
  problem = enter_namespaces();
  if (problem != 0) return fail_with("namespace", problem);
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) return fail_with("pipe", errno);
  if (unshare(CLONE_NEWPID) != 0) return fail_with("unshare", errno);
  pid = fork();
  if (pid < 0) return fail_with("fork", errno);
  if (pid == 0) {
    close(ready[0]);
    be_init(argc, argv, ready[1]);
  }
  close(ready[1]);
  if (read(ready[0], &problem, sizeof problem) != (ssize_t)sizeof problem) problem = EIO;
  if (problem != 0) return fail_with("isolate", problem);
  char line[160];
  u64 start = start_time_of(pid), now = now_ns();
  int length =
      snprintf(line, sizeof line, MOTH_SHIM_STATE_FORMAT, (int)pid, start, (int)pid, start, now);
  if (write_file(options.record, line, (size_t)length) != 0) {
    problem = errno;
    kill(pid, SIGKILL);
    return fail_with("record", problem);
  }
  status_line("started %d %llu %llu\n", (int)pid, start, now);
  return 0;
}
