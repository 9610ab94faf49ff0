#include "bridge/model_host.h"

#include <utility>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace escribano::bridge {

ModelHost::ModelHost(ModelLoader loader)
    : loader_(std::move(loader)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

ModelHost::~ModelHost() {
  thread_.request_stop();
  thread_.join();
}

void ModelHost::load(std::string name, std::function<void(Result<LoadedModel>)> done) {
  post([this, name = std::move(name), done = std::move(done)] { done(loader_(name)); });
}

void ModelHost::destroy(std::unique_ptr<engine::Engine> engine, std::function<void()> done) {
  // std::function wants copyable captures.
  auto shared = std::make_shared<std::unique_ptr<engine::Engine>>(std::move(engine));
  post([shared, done = std::move(done)] {
    shared->reset();
#ifdef __GLIBC__
    // Unloading is for giving memory back, and the allocator keeps what it has unless told.
    ::malloc_trim(0);
#endif
    done();
  });
}

void ModelHost::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  changed_.notify_all();
}

void ModelHost::run(const std::stop_token& stop) {
  while (true) {
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [&] { return !tasks_.empty(); })) return;
      if (stop.stop_requested()) return;
      task = std::move(tasks_.front());
      tasks_.erase(tasks_.begin());
    }
    task();
  }
}

}  // namespace escribano::bridge
