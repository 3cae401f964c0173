//! What an operator and a user would notice, a module per behaviour.

mod forms;
