//! `waxwing config`: the settings. A running engine follows them with its next connection.

use serde_json::{Map, Value, json};

use super::arguments::ConfigChange;
use super::{Context, Exit};
use crate::api::Refusal;
use crate::runtime::settings::NAMES;
use crate::words::results;

pub(super) fn run(context: &mut Context<'_>, change: Option<ConfigChange>) -> Result<Exit, Refusal> {
    match change {
        None => {
            let mut all = Map::new();
            for (name, meaning) in NAMES {
                let value = context.settings.get(name)?;
                let shown = value.clone().unwrap_or_else(results::default_setting);
                context.console.line(&format!("{name} = {shown}"));
                context.console.line(&format!("    {meaning}"));
                all.insert(name.to_owned(), json!(value));
            }
            context.console.object(&json!({"kind": "settings", "settings": Value::Object(all)}));
        }
        Some(ConfigChange::Get { name }) => {
            let value = context.settings.get(&name)?;
            context.console.line(&value.clone().unwrap_or_else(results::default_setting));
            context.console.object(&json!({"kind": "setting", "name": name, "setting": value}));
        }
        Some(ConfigChange::Set { name, value }) => change_setting(context, &name, Some(&value))?,
        Some(ConfigChange::Unset { name }) => change_setting(context, &name, None)?,
    }
    Ok(Exit::Ok)
}

fn change_setting(context: &mut Context<'_>, name: &str, value: Option<&str>) -> Result<(), Refusal> {
    context.settings.set(name, value)?;
    context.settings.save(context.home.settings())?;
    let value = context.settings.get(name)?;
    context.console.object(&json!({"kind": "setting", "name": name, "setting": value}));
    Ok(())
}
