#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/shim/program/shim.h"

// A stream's bytes up to the next newline. Lines are written straight from here.
struct line_buffer {
  char bytes[LINE_BYTES];
  size_t held;  // of an unfinished line, at the start
  int in_line;  // the last record was partial
};

static struct line_buffer buffers[STREAM_COUNT];
static const char* const stream_names[STREAM_COUNT] = {"stdout", "stderr"};

static const char* log_path;
static int log_fd = -1;
static u64 log_size, log_max_bytes;
static int log_max_files;

// Records of one read share time and stream, so two headers serve them all.
#define HEADER_BYTES 48
static char header_full[HEADER_BYTES], header_partial[HEADER_BYTES];
static size_t header_length;
#define MAX_VECTORS 128
static struct iovec vectors[MAX_VECTORS];
static int vector_count;
static size_t vector_bytes;

static int open_log(void) {
  log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (log_fd < 0) return errno;
  struct stat st;
  log_size = fstat(log_fd, &st) == 0 ? (u64)st.st_size : 0;
  return 0;
}

int log_open(const char* path, u64 max_bytes, int max_files) {
  log_path = path;
  log_max_bytes = max_bytes;
  log_max_files = max_files < 1 ? 1 : max_files;
  return open_log();
}

void log_reopen(void) {
  int old = log_fd;
  if (open_log() != 0) {
    log_fd = old;
    return;
  }
  if (old >= 0) close(old);
}

static void rotate(void) {
  char from[PATH_MAX], to[PATH_MAX];
  if (log_max_files == 1) {
    if (ftruncate(log_fd, 0) == 0) log_size = 0;
    return;
  }
  for (int i = log_max_files - 2; i >= 1; i--) {
    snprintf(from, sizeof from, "%s.%d", log_path, i);
    snprintf(to, sizeof to, "%s.%d", log_path, i + 1);
    rename(from, to);
  }
  snprintf(to, sizeof to, "%s.1", log_path);
  rename(log_path, to);
  log_reopen();
}

static void rotate_if_full(size_t more) {
  if (log_max_bytes == 0 || log_size == 0 || log_size + more <= log_max_bytes) return;
  // Not between the parts of a line, unless the line has no end.
  int in_line = buffers[STREAM_STDOUT].in_line || buffers[STREAM_STDERR].in_line;
  if (in_line && log_size < 2 * log_max_bytes) return;
  rotate();
}

static void write_records(void) {
  if (vector_count == 0) return;
  rotate_if_full(vector_bytes);
  if (log_fd < 0) log_reopen();
  if (log_fd >= 0) {
    ssize_t n = writev(log_fd, vectors, vector_count);
    if (n == (ssize_t)vector_bytes) {
      log_size += vector_bytes;
    } else if (n > 0 && ftruncate(log_fd, (off_t)log_size) != 0) {
      // The disk is full: a torn record is taken back, the container goes on without its log.
      log_size += (u64)n;
    }
  }
  vector_count = 0;
  vector_bytes = 0;
}

static void add_vector(const char* data, size_t length) {
  vectors[vector_count].iov_base = (void*)data;
  vectors[vector_count++].iov_len = length;
  vector_bytes += length;
}

// `length` with the newline for a full record, without it for a partial one.
static void add_record(int full, const char* text, size_t length) {
  if (vector_count + 3 > MAX_VECTORS) write_records();
  add_vector(full ? header_full : header_partial, header_length);
  add_vector(text, length);
  if (!full) add_vector("\n", 1);
}

static void make_headers(enum stream stream) {
  static time_t known_second = -1;
  static char second_text[24];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (now.tv_sec != known_second) {
    struct tm parts;
    gmtime_r(&now.tv_sec, &parts);
    strftime(second_text, sizeof second_text, "%Y-%m-%dT%H:%M:%S", &parts);
    known_second = now.tv_sec;
  }
  header_length = (size_t)snprintf(header_full, HEADER_BYTES, "%s.%09ldZ %s F ", second_text,
                                   now.tv_nsec, stream_names[stream]);
  memcpy(header_partial, header_full, header_length);
  header_partial[header_length - 2] = 'P';
}

ssize_t log_read(enum stream stream, int fd, const char** data) {
  struct line_buffer* buffer = &buffers[stream];
  char* end = buffer->bytes + buffer->held;
  ssize_t n = read(fd, end, LINE_BYTES - buffer->held);
  if (n <= 0) return n;
  *data = end;
  return n;
}

void log_consume(enum stream stream, size_t fresh) {
  struct line_buffer* buffer = &buffers[stream];
  size_t length = buffer->held + fresh, start = 0, scan = buffer->held;
  make_headers(stream);
  while (scan < length) {
    char* newline = memchr(buffer->bytes + scan, '\n', length - scan);
    if (!newline) break;
    size_t next = (size_t)(newline - buffer->bytes) + 1;
    add_record(1, buffer->bytes + start, next - start);
    buffer->in_line = 0;
    start = scan = next;
  }
  if (start == 0 && length == LINE_BYTES) {
    add_record(0, buffer->bytes, length);
    buffer->in_line = 1;
    start = length;
  }
  write_records();
  buffer->held = length - start;
  if (start > 0) memmove(buffer->bytes, buffer->bytes + start, buffer->held);
}

void log_flush(enum stream stream) {
  struct line_buffer* buffer = &buffers[stream];
  if (buffer->held == 0) return;
  make_headers(stream);
  add_record(0, buffer->bytes, buffer->held);
  buffer->in_line = 1;
  write_records();
  buffer->held = 0;
}

int log_has_partial(void) {
  return buffers[STREAM_STDOUT].held > 0 || buffers[STREAM_STDERR].held > 0;
}
