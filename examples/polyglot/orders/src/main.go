// Command orders keeps orders, in memory: GET /orders lists them, POST /orders adds one.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Order is one line of the list.
type Order struct {
	Number int    `json:"number"`
	Item   string `json:"item"`
}

// Book is all orders since the start. The zero value is an empty one.
type Book struct {
	mutex  sync.Mutex
	orders []Order
}

// Add puts an item on the list.
func (b *Book) Add(item string) Order {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	order := Order{Number: len(b.orders) + 1, Item: item}
	b.orders = append(b.orders, order)
	return order
}

// All is a copy of the list, never nil.
func (b *Book) All() []Order {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return append([]Order{}, b.orders...)
}

func routes(book *Book) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, book.All())
	})
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		var wanted Order
		body := http.MaxBytesReader(w, r.Body, 4096)
		if err := json.NewDecoder(body).Decode(&wanted); err != nil || strings.TrimSpace(wanted.Item) == "" {
			reply(w, http.StatusBadRequest, map[string]string{"error": `send {"item": "…"}`})
			return
		}
		order := book.Add(strings.TrimSpace(wanted.Item))
		log.Printf("order %d: %s", order.Number, order.Item)
		reply(w, http.StatusCreated, order)
	})
	return mux
}

func reply(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		log.Print(err)
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	server := &http.Server{Addr: ":8080", Handler: routes(&Book{}), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.Background())
	}()
	log.Printf("taking orders on %s", server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}
