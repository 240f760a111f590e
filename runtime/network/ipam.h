#pragma once
// Ipam: hands out the addresses of a pod range. Pure bookkeeping, one thread (its owner's); the
// owner keeps what was given out and restores it after a restart with reserve().
//
// The search goes round the range, so an address that was released is not given out again until
// all others were (clients and conntrack may remember it for minutes).
#include <cstddef>
#include <vector>

#include "runtime/network/address/address.h"

namespace moth::network {

class Ipam {
 public:
  // The network and the broadcast address are never given out (ranges of /30 and wider), nor are
  // those in `excluded`. Ranges wider than /12 are refused by their owner's configuration.
  explicit Ipam(Cidr range, const std::vector<Ipv4>& excluded = {});

  // ServiceUnavailable when the range is exhausted: the message names the range.
  Result<Ipv4> allocate();
  // Marks an address as taken. Invalid when outside the range or not assignable, AlreadyExists when
  // taken.
  Result<> reserve(Ipv4 address);
  // Unknown addresses are ignored.
  void release(Ipv4 address);

  bool taken(Ipv4 address) const;
  std::size_t used() const { return used_; }
  std::size_t capacity() const { return capacity_; }
  const Cidr& range() const { return range_; }

 private:
  bool assignable(Ipv4 address) const;

  Cidr range_;
  std::vector<bool> taken_;  // index = address - base
  std::vector<bool> excluded_;
  std::size_t used_ = 0;
  std::size_t capacity_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace moth::network
