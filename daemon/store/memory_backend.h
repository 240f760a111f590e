#pragma once
// MemoryBackend: rows in memory, with injected faults. A MemoryDisk is what survives a "restart":
// tests open one store after another on it. Thread-safe.
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>

#include "api/base/clock.h"
#include "api/base/result.h"
#include "daemon/store/backend.h"

namespace moth::store {

class MemoryDisk {
 public:
  // (resource, namespace, name) -> text
  using Rows = std::map<std::tuple<std::string, std::string, std::string>, std::string>;

  // The n-th commit from now (1: the next) fails with `error` and writes nothing.
  void fail_commit(int n, Error error);
  // Commits wait until release(); for tests that need writes to pile up behind one.
  void hold();
  void release();
  // Every commit takes at least this long.
  void delay(Duration duration);

  Rows rows() const;
  std::uint64_t reserved_revision() const;
  bool clean() const;
  // Transactions since the start: what an idle node must not raise.
  int commits() const;
  // Waits until a commit is held up.
  void await_held() const;

 private:
  friend class MemoryBackend;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Rows rows_;
  std::uint64_t reserved_ = 0;
  bool clean_ = true;
  int commits_ = 0;
  int fail_in_ = 0;
  Error failure_;
  bool held_ = false;
  int waiting_ = 0;
  Duration delay_{0};
};

class MemoryBackend final : public Backend {
 public:
  explicit MemoryBackend(std::shared_ptr<MemoryDisk> disk);
  Result<Snapshot> load() override;
  Result<> commit(const CommitBatch& batch) override;
  Result<> backup(const std::string& path) override;
  void close() override;

 private:
  std::shared_ptr<MemoryDisk> disk_;
};

}  // namespace moth::store
