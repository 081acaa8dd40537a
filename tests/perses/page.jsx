// A dashboard as Perses draws it, in a page of its own: `window.DASHBOARD` is the dashboard, `window.BACKEND` the URL of
// what answers its queries. Nothing but that is asked.
import './observer.js';
import { createRoot } from 'react-dom/client';
import { CssBaseline, ThemeProvider } from '@mui/material';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { ChartsProvider, SnackbarProvider, generateChartsTheme, getTheme } from '@perses-dev/components';
import { PluginRegistry, dynamicImportPluginLoader } from '@perses-dev/plugin-system';
import { ViewDashboard } from '@perses-dev/dashboards';
import * as panels from '@perses-dev/panels-plugin';
import panelsResource from '@perses-dev/panels-plugin/plugin.json';
import * as prometheus from '@perses-dev/prometheus-plugin';
import prometheusResource from '@perses-dev/prometheus-plugin/plugin.json';
import { MemoryRouter, useHistory, useLocation } from 'react-router-dom';
import { QueryParamProvider } from 'use-query-params';
import { WindowHistoryAdapter } from 'use-query-params/adapters/window';

const plugins = dynamicImportPluginLoader([
  { resource: panelsResource, importPlugin: () => Promise.resolve(panels) },
  { resource: prometheusResource, importPlugin: () => Promise.resolve(prometheus) },
]);

// The one data source, which is the default of its kind.
const source = {
  kind: 'GlobalDatasource',
  metadata: { name: 'backend' },
  spec: { default: true, plugin: { kind: 'PrometheusDatasource', spec: { directUrl: window.BACKEND } } },
};
const sources = {
  getDatasource: () => Promise.resolve(undefined),
  getGlobalDatasource: () => Promise.resolve(source),
  listDatasources: () => Promise.resolve([]),
  listGlobalDatasources: () => Promise.resolve([source]),
};

const theme = getTheme('light');
const charts = generateChartsTheme(theme, {});
const queries = new QueryClient({ defaultOptions: { queries: { refetchOnWindowFocus: false, retry: false } } });

createRoot(document.getElementById('root')).render(
  <MemoryRouter>
    <ThemeProvider theme={theme}>
      <ChartsProvider chartsTheme={charts}>
        <CssBaseline />
        <QueryClientProvider client={queries}>
          <QueryParamProvider adapter={WindowHistoryAdapter}>
            <SnackbarProvider>
              <PluginRegistry
                pluginLoader={plugins}
                defaultPluginKinds={{ Panel: 'TimeSeriesChart', TimeSeriesQuery: 'PrometheusTimeSeriesQuery' }}
              >
                <ViewDashboard dashboardResource={window.DASHBOARD} datasourceApi={sources} isReadonly={true} />
              </PluginRegistry>
            </SnackbarProvider>
          </QueryParamProvider>
        </QueryClientProvider>
      </ChartsProvider>
    </ThemeProvider>
  </MemoryRouter>
);
