#pragma once
// A netlink request-response socket. Blocking, one thread at a time; it stays in the namespace in
// which it was opened.
#include <cstdint>
#include <functional>
#include <vector>

#include "api/base/result.h"

struct nlmsghdr;

namespace moth::network::netlink {

// Builds one netlink message in a buffer of its own.
class Message {
 public:
  // `family_header_size` zeroed bytes follow the netlink header; fill them with header<T>().
  Message(std::uint16_t type, std::uint16_t flags, std::size_t family_header_size);
  template <class T>
  T* header() {
    return static_cast<T*>(payload());
  }
  void put(std::uint16_t attribute, const void* data, std::size_t size);
  void put_u8(std::uint16_t attribute, std::uint8_t value) { put(attribute, &value, sizeof value); }
  void put_u16(std::uint16_t attribute, std::uint16_t value) {
    put(attribute, &value, sizeof value);
  }
  void put_u32(std::uint16_t attribute, std::uint32_t value) {
    put(attribute, &value, sizeof value);
  }
  void put_text(std::uint16_t attribute, const char* text);  // zero terminated
  // Attributes put until the matching end() lie inside; returns a position for end().
  std::size_t begin(std::uint16_t attribute);
  void end(std::size_t position);
  // `extra` zeroed bytes without attribute header inside an open nest (VETH_INFO_PEER's ifinfomsg).
  void* raw(std::size_t extra);

  nlmsghdr* finish();  // sets the length; valid while the message lives

 private:
  void* payload();
  std::vector<std::uint32_t> storage_;
  std::size_t size_ = 0;
  unsigned char* grow(std::size_t bytes);
};

class Socket {
 public:
  static Result<Socket> open(int protocol);  // NETLINK_ROUTE, NETLINK_NETFILTER
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();

  // Sends and waits for the acknowledgement. The error carries the kernel's errno and `what`.
  Result<> request(Message& message, std::string_view what);
  // Sends a request that is answered by messages; each is given to `each`. Ends with the dump's end
  // or, for a single answer (no NLM_F_DUMP), with the acknowledgement.
  Result<> dump(Message& message, std::string_view what,
                const std::function<void(const nlmsghdr&)>& each);

 private:
  explicit Socket(int fd) : fd_(fd) {}
  int fd_ = -1;
  std::uint32_t sequence_ = 0;
};

}  // namespace moth::network::netlink
