#include "runtime/network/ipam.h"

#include <fmt/format.h>

namespace moth::network {

Ipam::Ipam(Cidr range, const std::vector<Ipv4>& excluded)
    : range_(range), taken_(range.size()), excluded_(range.size()) {
  if (range_.prefix <= 30) {
    excluded_.front() = true;
    excluded_.back() = true;
  }
  for (Ipv4 address : excluded)
    if (range_.contains(address)) excluded_[address.value - range_.base.value] = true;
  for (bool no : excluded_) capacity_ += no ? 0 : 1;
}

bool Ipam::assignable(Ipv4 address) const {
  return range_.contains(address) && !excluded_[address.value - range_.base.value];
}

Result<Ipv4> Ipam::allocate() {
  if (used_ < capacity_) {
    for (std::uint64_t step = 0; step < taken_.size(); ++step) {
      std::uint64_t index = (next_ + step) % taken_.size();
      if (taken_[index] || excluded_[index]) continue;
      taken_[index] = true;
      ++used_;
      next_ = (index + 1) % taken_.size();
      return Ipv4{static_cast<std::uint32_t>(range_.base.value + index)};
    }
  }
  return fail(Error::unavailable(
      fmt::format("no address is left in the pod range {} ({} in use)", range_.text(), used_)));
}

Result<> Ipam::reserve(Ipv4 address) {
  if (!assignable(address))
    return fail(Error::of(Reason::kInvalid,
                          fmt::format("address {} cannot be given to a pod of the range {}",
                                      address.text(), range_.text())));
  std::uint64_t index = address.value - range_.base.value;
  if (taken_[index])
    return fail(Error::of(Reason::kAlreadyExists,
                          fmt::format("address {} is already in use", address.text())));
  taken_[index] = true;
  ++used_;
  // Continue behind the highest address that a previous run gave out, to reuse none soon.
  if (index + 1 > next_) next_ = (index + 1) % taken_.size();
  return {};
}

void Ipam::release(Ipv4 address) {
  if (!taken(address)) return;
  taken_[address.value - range_.base.value] = false;
  --used_;
}

bool Ipam::taken(Ipv4 address) const {
  return range_.contains(address) && taken_[address.value - range_.base.value];
}

}  // namespace moth::network
