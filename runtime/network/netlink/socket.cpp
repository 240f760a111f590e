#include "runtime/network/netlink/socket.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace moth::network::netlink {

namespace {
constexpr std::size_t kReceiveBuffer = 64 * 1024;
std::size_t aligned(std::size_t size) {
  return NLMSG_ALIGN(size);
}
}  // namespace

Message::Message(std::uint16_t type, std::uint16_t flags, std::size_t family_header_size) {
  storage_.reserve(64);
  grow(NLMSG_HDRLEN);
  grow(family_header_size);
  auto* head = reinterpret_cast<nlmsghdr*>(storage_.data());
  head->nlmsg_type = type;
  head->nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
}

unsigned char* Message::grow(std::size_t bytes) {
  std::size_t start = size_;
  size_ += aligned(bytes);
  storage_.resize((size_ + 3) / 4);
  return reinterpret_cast<unsigned char*>(storage_.data()) + start;
}

void* Message::payload() {
  return reinterpret_cast<unsigned char*>(storage_.data()) + NLMSG_HDRLEN;
}

void Message::put(std::uint16_t attribute, const void* data, std::size_t size) {
  unsigned char* at = grow(NLA_HDRLEN + size);
  auto* head = reinterpret_cast<nlattr*>(at);
  head->nla_type = attribute;
  head->nla_len = static_cast<std::uint16_t>(NLA_HDRLEN + size);
  if (size > 0) std::memcpy(at + NLA_HDRLEN, data, size);
}

void Message::put_text(std::uint16_t attribute, const char* text) {
  put(attribute, text, std::strlen(text) + 1);
}

std::size_t Message::begin(std::uint16_t attribute) {
  std::size_t position = size_;
  put(attribute, nullptr, 0);
  return position;
}

void Message::end(std::size_t position) {
  auto* head =
      reinterpret_cast<nlattr*>(reinterpret_cast<unsigned char*>(storage_.data()) + position);
  head->nla_len = static_cast<std::uint16_t>(size_ - position);
}

void* Message::raw(std::size_t extra) {
  return grow(extra);
}

nlmsghdr* Message::finish() {
  auto* head = reinterpret_cast<nlmsghdr*>(storage_.data());
  head->nlmsg_len = static_cast<std::uint32_t>(size_);
  return head;
}

Result<Socket> Socket::open(int protocol) {
  int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) return fail(Error::from_errno(errno, "open a netlink socket"));
  Socket socket(fd);
  int size = 1 << 20;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  // Dumps are then checked strictly and filtered by the kernel where it can.
  int on = 1;
  ::setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  return socket;
}

Socket::Socket(Socket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), sequence_(other.sequence_) {}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(sequence_, other.sequence_);
  return *this;
}

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

Result<> Socket::request(Message& message, std::string_view what) {
  auto* head = message.finish();
  head->nlmsg_flags |= NLM_F_ACK;
  return dump(message, what, {});
}

Result<> Socket::dump(Message& message, std::string_view what,
                      const std::function<void(const nlmsghdr&)>& each) {
  nlmsghdr* head = message.finish();
  head->nlmsg_seq = ++sequence_;
  bool dumping = (head->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  if (!dumping) head->nlmsg_flags |= NLM_F_ACK;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  while (::sendto(fd_, head, head->nlmsg_len, 0, reinterpret_cast<sockaddr*>(&kernel),
                  sizeof kernel) < 0)
    if (errno != EINTR) return fail(Error::from_errno(errno, what));
  thread_local std::vector<std::uint32_t> buffer(kReceiveBuffer / 4);
  for (;;) {
    ssize_t got = ::recv(fd_, buffer.data(), kReceiveBuffer, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      return fail(Error::from_errno(errno, what));
    }
    auto left = static_cast<unsigned>(got);
    for (auto* reply = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(reply, left);
         reply = NLMSG_NEXT(reply, left)) {
      if (reply->nlmsg_seq != sequence_) continue;
      if (reply->nlmsg_type == NLMSG_ERROR || reply->nlmsg_type == NLMSG_DONE) {
        int error = 0;
        if (reply->nlmsg_len >= NLMSG_LENGTH(sizeof error))
          std::memcpy(&error, NLMSG_DATA(reply), sizeof error);
        if (error < 0) return fail(Error::from_errno(-error, what));
        return {};
      }
      if (each) each(*reply);
    }
  }
}

}  // namespace moth::network::netlink
