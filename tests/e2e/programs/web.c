// A small web server for the tests: one thread, epoll, no dependencies.
//
//   GET /            "HOSTNAME VERSION\n"
//   GET /healthz     200, or 500 while /tmp/sick exists
//   GET /readyz      200, or 503 while /tmp/unready exists
//   GET /burn        spends about 2 ms of CPU, then answers as /
//   GET /sleep       answers after 300 ms (holds up nobody else)
//   POST /predict    401 without the header X-API-Key: $API_KEY, else a fixed JSON answer
//   other            404
//
// SIGTERM: goes on serving what still arrives until nothing has for 300 ms, then exits with 0.
// UDP on the same port: every datagram is answered with the host name.
//
// As a client (BusyBox, linked statically with glibc, cannot resolve names):
//   web get HOST PORT PATH     prints the body; exit code 1 when there is none
//   web connect HOST PORT      exit code 0 when something accepts
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kMaxConnections = 4096, kRequestSize = 8192 };

struct connection {
  char request[kRequestSize];
  size_t size;
  double answer_at;  // of /sleep; 0: nothing waits
};

static struct connection* connections[kMaxConnections];
static volatile sig_atomic_t stopping;
static char identity[256];
static double last_activity;

static void on_term(int number) {
  (void)number;
  stopping = 1;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void burn(void) {
  struct timespec start, time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
  do {
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  } while ((time.tv_sec - start.tv_sec) * 1000000000L + time.tv_nsec - start.tv_nsec < 2000000L);
}

static void drop(int fd) {
  free(connections[fd]);
  connections[fd] = NULL;
  close(fd);
}

static void respond(int fd, const char* status, const char* body, int keep) {
  char text[1024];
  int size = snprintf(text, sizeof text,
                      "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n%s",
                      status, strlen(body), keep ? "" : "Connection: close\r\n", body);
  // The last answer and the end travel in one segment: so it is always the server that closes first
  // and waits out the connection. A client that closed first now and then would run out of source
  // ports under load.
  int flags = MSG_NOSIGNAL | (keep ? 0 : MSG_MORE);
  if (send(fd, text, (size_t)size, flags) < 0 || !keep) drop(fd);
}

static int keeps(const char* request) {
  return !strstr(request, "Connection: close") && !stopping;
}

static void answer(int fd, struct connection* connection) {
  const char* request = connection->request;
  int keep = keeps(request);
  int get = strncmp(request, "GET ", 4) == 0;
  const char* path = get ? request + 4 : request;
  if (get && strncmp(path, "/ ", 2) == 0) {
    respond(fd, "200 OK", identity, keep);
  } else if (get && strncmp(path, "/burn ", 6) == 0) {
    burn();
    respond(fd, "200 OK", identity, keep);
  } else if (get && strncmp(path, "/sleep ", 7) == 0) {
    connection->answer_at = now() + 0.3;
  } else if (get && strncmp(path, "/healthz ", 9) == 0) {
    int sick = access("/tmp/sick", F_OK) == 0;
    respond(fd, sick ? "500 Internal Server Error" : "200 OK", sick ? "sick\n" : "ok\n", keep);
  } else if (get && strncmp(path, "/readyz ", 8) == 0) {
    int unready = access("/tmp/unready", F_OK) == 0;
    respond(fd, unready ? "503 Service Unavailable" : "200 OK", unready ? "no\n" : "ok\n", keep);
  } else if (strncmp(request, "POST /predict ", 14) == 0) {
    const char* key = getenv("API_KEY");
    char wanted[256];
    snprintf(wanted, sizeof wanted, "X-API-Key: %s\r\n", key ? key : "");
    if (key && strstr(request, wanted)) {
      respond(fd, "200 OK", "{\"predictions\": [1]}\n", keep);
    } else {
      respond(fd, "401 Unauthorized", "a valid key is needed\n", keep);
    }
  } else {
    respond(fd, "404 Not Found", "not found\n", keep);
  }
}

static void receive(int fd) {
  struct connection* connection = connections[fd];
  ssize_t got =
      recv(fd, connection->request + connection->size, kRequestSize - 1 - connection->size, 0);
  if (got <= 0) {
    if (got < 0 && errno == EAGAIN) return;
    drop(fd);
    return;
  }
  connection->size += (size_t)got;
  connection->request[connection->size] = 0;
  if (!strstr(connection->request, "\r\n\r\n")) {
    if (connection->size == kRequestSize - 1) drop(fd);
    return;
  }
  // Bodies are small and come with the head; one request is answered at a time.
  connection->size = 0;
  answer(fd, connection);
}

static int dial(const char* host, const char* port) {
  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
  int failed = getaddrinfo(host, port, &hints, &found);
  if (failed) {
    fprintf(stderr, "web: %s: %s\n", host, gai_strerror(failed));
    return -1;
  }
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct timeval limit = {.tv_sec = 5};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
    fprintf(stderr, "web: %s:%s: %s\n", host, port, strerror(errno));
    close(fd);
    fd = -1;
  }
  freeaddrinfo(found);
  return fd;
}

static int get(const char* host, const char* port, const char* path) {
  int fd = dial(host, port);
  if (fd < 0) return 1;
  char text[kRequestSize];
  int size = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                      path, host);
  if (send(fd, text, (size_t)size, MSG_NOSIGNAL) != size) return 1;
  size_t used = 0;
  ssize_t got;
  while (used < sizeof text - 1 && (got = recv(fd, text + used, sizeof text - 1 - used, 0)) > 0)
    used += (size_t)got;
  text[used] = 0;
  const char* body = strstr(text, "\r\n\r\n");
  if (!body || strncmp(text, "HTTP/1.1 200 ", 13) != 0) {
    fprintf(stderr, "web: %s\n", used ? text : "no answer");
    return 1;
  }
  fputs(body + 4, stdout);
  return 0;
}

int main(int argc, char** argv) {
  if (argc == 5 && strcmp(argv[1], "get") == 0) return get(argv[2], argv[3], argv[4]);
  if (argc == 4 && strcmp(argv[1], "connect") == 0) return dial(argv[2], argv[3]) < 0;
  int port = argc > 1 ? atoi(argv[1]) : 8080;
  struct sigaction action = {.sa_handler = on_term};
  sigaction(SIGTERM, &action, NULL);
  char host[128] = "";
  gethostname(host, sizeof host - 1);
  const char* version = getenv("VERSION");
  if (!version) version = getenv("IMAGE_VERSION");
  snprintf(identity, sizeof identity, "%s %s\n", host, version ? version : "-");

  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  int one = 1;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  int datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) != 0 ||
      listen(listener, 1024) != 0 ||
      bind(datagrams, (struct sockaddr*)&address, sizeof address) != 0) {
    perror("web");
    return 1;
  }
  int poll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  event.data.fd = datagrams;
  epoll_ctl(poll, EPOLL_CTL_ADD, datagrams, &event);
  printf("serving on port %d\n", port);
  fflush(stdout);

  int told = 0, waiting = 0;
  for (;;) {
    struct epoll_event events[64];
    int count = epoll_wait(poll, events, 64, waiting || stopping ? 20 : 1000);
    if (count > 0) last_activity = now();
    if (stopping && !told) {
      told = 1;
      last_activity = now();
      printf("stopping\n");
      fflush(stdout);
    }
    for (int i = 0; i < count; ++i) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        int client;
        while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
          if (client >= kMaxConnections) {
            close(client);
            continue;
          }
          setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          connections[client] = calloc(1, sizeof(struct connection));
          event.events = EPOLLIN;
          event.data.fd = client;
          epoll_ctl(poll, EPOLL_CTL_ADD, client, &event);
        }
      } else if (fd == datagrams) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        char text[512];
        if (recvfrom(datagrams, text, sizeof text, 0, (struct sockaddr*)&peer, &size) >= 0) {
          sendto(datagrams, identity, strlen(identity), 0, (struct sockaddr*)&peer, size);
        }
      } else if (connections[fd]) {
        receive(fd);
      }
    }
    waiting = 0;
    double time = now();
    for (int fd = 0; fd < kMaxConnections; ++fd) {
      struct connection* connection = connections[fd];
      if (!connection || connection->answer_at == 0) continue;
      if (connection->answer_at <= time) {
        connection->answer_at = 0;
        respond(fd, "200 OK", identity, keeps(connection->request));
      } else {
        waiting = 1;
      }
    }
    if (stopping && !waiting && now() - last_activity > 0.3) return 0;
  }
}
