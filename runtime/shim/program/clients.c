#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/shim/program/shim.h"

struct client {
  int fd;  // -1: free
  int attached;
  int waits_for_exit;
  int watched;  // by epoll; not while the container's input is full
};

static struct client clients[MAX_CLIENTS];
static int listen_fd = -1;
// The last quarter of the places is for those that wait for the exit: users cannot shut out mothd.
#define MAX_ATTACHED (MAX_CLIENTS * 3 / 4)
// What a client may lag behind before it loses output.
#define SEND_BUFFER (512 * 1024)

static char exit_record[512];
static size_t exit_length;

int clients_listen(const char* path) {
  struct sockaddr_un address;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  strcpy(address.sun_path, path);
  unlink(path);
  for (int i = 0; i < MAX_CLIENTS; i++) clients[i].fd = -1;
  listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listen_fd < 0 || bind(listen_fd, (struct sockaddr*)&address, sizeof address) != 0 ||
      listen(listen_fd, 16) != 0) {
    return errno;
  }
  watch_fd(listen_fd, EVENT_LISTEN, 0, EPOLLIN);
  return 0;
}

static void drop(int index) {
  struct client* client = &clients[index];
  if (client->watched) unwatch_fd(client->fd);
  close(client->fd);
  client->fd = -1;
  if (!client->attached) return;
  client->attached = 0;
  for (int i = 0; i < MAX_CLIENTS; i++) {
    if (clients[i].fd >= 0 && clients[i].attached) return;
  }
  if (stdin_is_once()) stdin_close();
}

void clients_accept(void) {
  int fd = accept4(listen_fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  for (int i = 0; i < MAX_CLIENTS; i++) {
    if (clients[i].fd >= 0) continue;
    int size = SEND_BUFFER;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    clients[i] = (struct client){.fd = fd, .watched = 1};
    watch_fd(fd, EVENT_CLIENT, i, EPOLLIN);
    return;
  }
  close(fd);
}

static int attached_count(void) {
  int count = 0;
  for (int i = 0; i < MAX_CLIENTS; i++) count += clients[i].fd >= 0 && clients[i].attached;
  return count;
}

static int send_frame(int fd, char type, const char* data, size_t length) {
  struct iovec parts[2] = {{&type, 1}, {(void*)data, length}};
  struct msghdr message;
  memset(&message, 0, sizeof message);
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
}

static void hello(int index, char what) {
  struct client* client = &clients[index];
  if (what == 'a') {
    if (attached_count() >= MAX_ATTACHED) {
      drop(index);
      return;
    }
    client->attached = 1;
  } else {
    client->waits_for_exit = 1;
    if (exit_length > 0) send_frame(client->fd, MOTH_SHIM_EXITED, exit_record, exit_length);
  }
}

// Stops or resumes reading from all who may send input.
static void watch_attached(int watch) {
  for (int i = 0; i < MAX_CLIENTS; i++) {
    struct client* client = &clients[i];
    if (client->fd < 0 || !client->attached || client->watched == watch) continue;
    client->watched = watch;
    if (watch) {
      watch_fd(client->fd, EVENT_CLIENT, i, EPOLLIN);
    } else {
      unwatch_fd(client->fd);
    }
  }
}

void clients_resume(void) {
  watch_attached(1);
}

void clients_readable(int index) {
  static char frame[MOTH_SHIM_MAX_FRAME];
  struct client* client = &clients[index];
  if (client->fd < 0) return;
  ssize_t n = recv(client->fd, frame, sizeof frame, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    drop(index);
    return;
  }
  const unsigned char* bytes = (const unsigned char*)frame;
  switch (frame[0]) {
    case MOTH_SHIM_HELLO:
      if (n >= 2) hello(index, frame[1]);
      break;
    case MOTH_SHIM_STDIN:
      if (client->attached && n > 1 && !stdin_write(frame + 1, (size_t)n - 1)) watch_attached(0);
      break;
    case MOTH_SHIM_STDIN_CLOSE:
      if (client->attached) stdin_close();
      break;
    case MOTH_SHIM_RESIZE:
      if (n >= 5) terminal_resize(bytes[1] * 256u + bytes[2], bytes[3] * 256u + bytes[4]);
      break;
    case MOTH_SHIM_REOPEN:
      log_reopen();
      break;
    default:
      break;
  }
}

void clients_output(enum stream stream, const char* data, size_t length) {
  char type = stream == STREAM_STDERR ? MOTH_SHIM_STDERR : MOTH_SHIM_STDOUT;
  for (int i = 0; i < MAX_CLIENTS; i++) {
    if (clients[i].fd >= 0 && clients[i].attached) send_frame(clients[i].fd, type, data, length);
  }
}

void clients_exited(const char* json, size_t length) {
  if (length > sizeof exit_record) length = sizeof exit_record;
  memcpy(exit_record, json, length);
  exit_length = length;
  for (int i = 0; i < MAX_CLIENTS; i++) {
    if (clients[i].fd >= 0 && clients[i].waits_for_exit) {
      send_frame(clients[i].fd, MOTH_SHIM_EXITED, json, length);
    }
  }
}

void clients_close_all(void) {
  // Those that connect from now on see no socket, so they look for exit.json, which is there.
  unlink(MOTH_SHIM_ATTACH);
  close(listen_fd);
  for (int i = 0; i < MAX_CLIENTS; i++) {
    if (clients[i].fd >= 0) close(clients[i].fd);
  }
}
