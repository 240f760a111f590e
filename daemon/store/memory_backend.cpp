#include "daemon/store/memory_backend.h"

#include <thread>

#include "daemon/store/object_loader.h"

namespace moth::store {

void MemoryDisk::fail_commit(int n, Error error) {
  std::lock_guard lock(mutex_);
  fail_in_ = n;
  failure_ = std::move(error);
}

void MemoryDisk::hold() {
  std::lock_guard lock(mutex_);
  held_ = true;
}

void MemoryDisk::release() {
  std::lock_guard lock(mutex_);
  held_ = false;
  changed_.notify_all();
}

void MemoryDisk::delay(Duration duration) {
  std::lock_guard lock(mutex_);
  delay_ = duration;
}

MemoryDisk::Rows MemoryDisk::rows() const {
  std::lock_guard lock(mutex_);
  return rows_;
}

std::uint64_t MemoryDisk::reserved_revision() const {
  std::lock_guard lock(mutex_);
  return reserved_;
}

bool MemoryDisk::clean() const {
  std::lock_guard lock(mutex_);
  return clean_;
}

int MemoryDisk::commits() const {
  std::lock_guard lock(mutex_);
  return commits_;
}

void MemoryDisk::await_held() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return waiting_ > 0; });
}

MemoryBackend::MemoryBackend(std::shared_ptr<MemoryDisk> disk) : disk_(std::move(disk)) {}

Result<Snapshot> MemoryBackend::load() {
  std::lock_guard lock(disk_->mutex_);
  Snapshot snapshot;
  for (const auto& [key, text] : disk_->rows_) {
    MOTH_ASSIGN(ObjectPtr object, load_object(text));
    snapshot.rows.push_back({std::get<0>(key), std::move(object)});
  }
  snapshot.reserved_revision = disk_->reserved_;
  snapshot.clean_stop = disk_->clean_;
  return snapshot;
}

Result<> MemoryBackend::commit(const CommitBatch& batch) {
  std::unique_lock lock(disk_->mutex_);
  if (disk_->delay_ > Duration(0)) {
    Duration delay = disk_->delay_;
    lock.unlock();
    std::this_thread::sleep_for(delay);
    lock.lock();
  }
  ++disk_->waiting_;
  disk_->changed_.notify_all();
  disk_->changed_.wait(lock, [this] { return !disk_->held_; });
  --disk_->waiting_;
  if (disk_->fail_in_ > 0 && --disk_->fail_in_ == 0) return fail(disk_->failure_);
  for (const RowWrite& row : batch.rows) {
    auto key = std::make_tuple(row.resource, row.object->ns(), row.object->name());
    if (row.remove) {
      disk_->rows_.erase(key);
    } else {
      disk_->rows_[key] = row.object->text();
    }
  }
  if (batch.reserved_revision) disk_->reserved_ = *batch.reserved_revision;
  disk_->clean_ = batch.clean_stop;
  ++disk_->commits_;
  return {};
}

Result<> MemoryBackend::backup(const std::string&) {
  return fail(Error::internal("a store in memory has no backup"));
}

void MemoryBackend::close() {}

}  // namespace moth::store
