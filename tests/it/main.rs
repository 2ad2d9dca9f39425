//! Behaviour by theme: what callers, people and operators see, told as stories over the whole pipeline.

mod journey;
