// Before any thread starts, the test process gets a mount and a network namespace of its own: what
// it mounts and connects is never seen by the machine, and goes with it.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

namespace {

class Isolation : public ::testing::Environment {
 public:
  void SetUp() override {
    if (::geteuid() != 0) return;
    ASSERT_EQ(::unshare(CLONE_NEWNS | CLONE_NEWNET), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  }
};

const auto* const kIsolation = ::testing::AddGlobalTestEnvironment(new Isolation);

}  // namespace
